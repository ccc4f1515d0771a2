//! A slower network in front of the socket, for tests, demonstrations and benches: every datagram leaves at the rate of a
//! link and arrives after its delay. It needs no rights and no other machine.
//!
//! A node's datagrams to all destinations share one uplink. What the link cannot take within a while is dropped, as a router
//! would, and congestion control learns from it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use protocols::tree::Link;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// What waits at the link longer than this is dropped, in addition to the time there and back.
const BUFFER: Duration = Duration::from_millis(50);
/// The runtime's timer counts milliseconds: the last of them are waited for by looking.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// A link's delay and rate.
#[derive(Copy, Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shape {
    /// What a packet is on its way, without the time to send it. A round of a protocol, in which everybody sends and then
    /// everybody has, takes this long.
    pub delay_ms: f64,
    /// Bytes per second in each direction.
    pub bytes_per_second: f64,
}

impl Shape {
    /// What processes on one machine have, about. Nothing is put in front of their sockets.
    pub const LOOPBACK: Self = Self::of(Link::LOOPBACK);
    /// One site: 0.5 ms, 1 Gbit/s.
    pub const LAN: Self = Self::of(Link::LAN);
    /// Between sites: 40 ms, 100 Mbit/s.
    pub const WAN: Self = Self::of(Link::WAN);

    /// What plans assume of a link.
    const fn of(link: Link) -> Self {
        Self { delay_ms: link.round_trip_us() as f64 / 1e3, bytes_per_second: link.bytes_per_second() as f64 }
    }

    fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_ms / 1e3)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms/{}mbit", self.delay_ms, self.bytes_per_second * 8e-6)
    }
}

/// `DELAYms/RATEmbit`, such as `40ms/100mbit`.
impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str, unit: &str| text.strip_suffix(unit)?.parse::<f64>().ok();
        let parts = text.split_once('/').and_then(|(delay, rate)| {
            Some((number(delay, "ms")?, number(rate, "mbit").or_else(|| Some(1e3 * number(rate, "gbit")?))?))
        });
        match parts {
            Some((ms, mbit)) if (0.0..=10_000.0).contains(&ms) && (0.01..=100_000.0).contains(&mbit) => {
                Ok(Self { delay_ms: ms, bytes_per_second: mbit * 125e3 })
            }
            _ => Err("expected a delay and a rate, such as 40ms/100mbit".to_owned()),
        }
    }
}

/// A datagram, or several of one size, on their way.
struct Datagram {
    due: Instant,
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Vec<u8>,
    segment_size: Option<usize>,
    src_ip: Option<IpAddr>,
}

#[derive(Default)]
struct Line {
    /// When the link will have sent everything that it took.
    free_at: Option<Instant>,
    on_the_way: VecDeque<Datagram>,
}

struct Shared {
    shape: Shape,
    line: Mutex<Line>,
    more: Notify,
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket behind a link.
pub(crate) struct Shaped {
    inner: Arc<dyn AsyncUdpSocket>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Shaped {
    /// Must be called within the network runtime.
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, shape: Shape) -> Self {
        let shared = Arc::new(Shared { shape, line: Mutex::default(), more: Notify::new() });
        let task = tokio::spawn(deliver(inner.clone(), shared.clone()));
        Self { inner, shared, task }
    }
}

impl Drop for Shaped {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn deliver(socket: Arc<dyn AsyncUdpSocket>, shared: Arc<Shared>) {
    loop {
        let next = shared.line().on_the_way.pop_front();
        let Some(datagram) = next else {
            shared.more.notified().await;
            continue;
        };
        let now = Instant::now();
        if datagram.due > now + TIMER_GRAIN {
            tokio::time::sleep_until((datagram.due - TIMER_GRAIN).into()).await;
        }
        while Instant::now() < datagram.due {
            tokio::task::yield_now().await;
        }
        let transmit = Transmit {
            destination: datagram.destination,
            ecn: datagram.ecn,
            contents: &datagram.contents,
            segment_size: datagram.segment_size,
            src_ip: datagram.src_ip,
        };
        while let Err(error) = socket.try_send(&transmit) {
            if error.kind() != io::ErrorKind::WouldBlock {
                break;
            }
            let mut poller = socket.clone().create_io_poller();
            if std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.is_err() {
                break;
            }
        }
    }
}

impl fmt::Debug for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shaped({})", self.shared.shape)
    }
}

/// The link takes or drops, and never blocks.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Shaped {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Shape { bytes_per_second, .. } = self.shared.shape;
        let now = Instant::now();
        let mut line = self.shared.line();
        let free_at = line.free_at.unwrap_or(now).max(now);
        if free_at - now > BUFFER + 2 * self.shared.shape.delay() {
            return Ok(());
        }
        let sent_at = free_at + Duration::from_secs_f64(transmit.contents.len() as f64 / bytes_per_second);
        line.free_at = Some(sent_at);
        line.on_the_way.push_back(Datagram {
            due: sent_at + self.shared.shape.delay(),
            destination: transmit.destination,
            ecn: transmit.ecn,
            contents: transmit.contents.to_vec(),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        });
        drop(line);
        self.shared.more.notify_one();
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, bufs, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_they_are_printed() {
        for shape in [Shape::LAN, Shape::WAN] {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        assert_eq!("40ms/100mbit".parse(), Ok(Shape::WAN));
        assert_eq!("0.5ms/1gbit".parse(), Ok(Shape::LAN));
        for bad in ["", "40ms", "40/100mbit", "-1ms/100mbit", "40ms/0mbit", "40ms/100", "NaNms/1mbit"] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }
}
