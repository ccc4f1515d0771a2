//! The QUIC endpoint and its settings, by kind of link. ADR 0002 has the measurements behind the numbers.
//!
//! Two traps decide the shape of this file. Quinn's initial congestion window is 12,000 bytes, so a packet larger than
//! that would wait for ever: every profile sets the window. And quinn hands the kernel batches of up to 10 packets,
//! but one `sendmsg` carries at most 65,507 bytes; above, it fails with an error that quinn swallows while the path
//! falls back to 1,200-byte packets: `BoundedBatches` limits the batch to what fits.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TransportConfig, UdpPoller, VarInt};

use super::error::NetError;
use super::shape::{Shape, Shaped};

/// A peer that was silent for this long is lost, whatever this node sends meanwhile. That leaves 0.7 s of the promised
/// 2 s to tell everyone and end.
pub const IDLE_TIMEOUT_MS: u64 = 1_300;
/// A quiet connection carries a ping, and its acknowledgement, this often.
pub const KEEP_ALIVE_MS: u64 = 300;
/// QUIC's own idle timeout, the second line: it counts only authenticated packets, but starts anew with sending and
/// cannot be shorter than three probe timeouts.
const QUIC_IDLE_TIMEOUT_MS: u32 = 1_600;

/// The largest payload of one UDP `sendmsg` over IPv4.
const UDP_SEND_MAX_BYTES: usize = 65_507;
/// Lanes and the control stream, with room to spare.
const MAX_STREAMS: u32 = 64;
/// The dealer's corrections.
const MAX_ONE_WAY_STREAMS: u32 = 1;
/// What a party says to a dealer is short or can wait, so a dealer, who has many connections, holds less of each.
const DEALER_WINDOW_BYTES: u32 = 256 << 10;

/// What kind of link the parties are on.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum LinkProfile {
    /// All parties on one machine.
    #[default]
    Loopback,
    /// One data centre or office network.
    Lan,
    /// Across cities.
    Wan,
}

struct Settings {
    mtu: u16,
    discover_mtu: bool,
    initial_window: u64,
    stream_window: u32,
    connection_window: u32,
    send_window: u64,
    initial_rtt_ms: u64,
}

impl LinkProfile {
    /// The profile that fits when nothing is said: loopback if all addresses are on this machine, else LAN.
    #[must_use]
    pub fn guess<'a>(addresses: impl IntoIterator<Item = &'a SocketAddr>) -> Self {
        if addresses.into_iter().all(|a| a.ip().is_loopback()) { Self::Loopback } else { Self::Lan }
    }

    const fn settings(self) -> Settings {
        match self {
            Self::Loopback => Settings {
                mtu: 32_000,
                discover_mtu: false,
                initial_window: 1 << 20,
                stream_window: 2 << 20,
                connection_window: 4 << 20,
                send_window: 16 << 20,
                initial_rtt_ms: 20,
            },
            Self::Lan => Settings {
                mtu: 1_452,
                discover_mtu: true,
                initial_window: 256 << 10,
                stream_window: 4 << 20,
                connection_window: 8 << 20,
                send_window: 16 << 20,
                initial_rtt_ms: 20,
            },
            Self::Wan => Settings {
                mtu: 1_200,
                discover_mtu: true,
                // Twice what is on its way at 100 Mbit/s and 80 ms: an opening has no time to find its rate.
                initial_window: 2 << 20,
                stream_window: 4 << 20,
                connection_window: 8 << 20,
                send_window: 16 << 20,
                initial_rtt_ms: 100,
            },
        }
    }

    /// The settings of every connection between parties, and of a party's with a dealer.
    pub(crate) fn transport(self) -> Arc<TransportConfig> {
        self.settings().transport()
    }

    /// The settings of a dealer's connections. Corrections are one long stream, which finds its rate by itself and fills the
    /// link's queue if it begins with more.
    pub(crate) fn dealer_transport(self) -> Arc<TransportConfig> {
        let s = self.settings();
        let of_dealer = Settings {
            stream_window: DEALER_WINDOW_BYTES,
            connection_window: 2 * DEALER_WINDOW_BYTES,
            initial_window: s.initial_window.min(1 << 20),
            ..s
        };
        of_dealer.transport()
    }
}

impl Settings {
    fn transport(&self) -> Arc<TransportConfig> {
        let mut cubic = CubicConfig::default();
        cubic.initial_window(self.initial_window);
        let mut t = TransportConfig::default();
        t.max_idle_timeout(Some(VarInt::from_u32(QUIC_IDLE_TIMEOUT_MS).into()))
            .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
            .initial_rtt(Duration::from_millis(self.initial_rtt_ms))
            .initial_mtu(self.mtu)
            .stream_receive_window(VarInt::from_u32(self.stream_window))
            .receive_window(VarInt::from_u32(self.connection_window))
            .send_window(self.send_window)
            .send_fairness(false)
            .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS))
            .max_concurrent_uni_streams(VarInt::from_u32(MAX_ONE_WAY_STREAMS))
            .datagram_receive_buffer_size(None)
            .congestion_controller_factory(Arc::new(cubic));
        if !self.discover_mtu {
            t.mtu_discovery_config(None);
        }
        Arc::new(t)
    }
}

/// A bound UDP socket that is not used yet. Binding early reports a taken port before anything else is done, and
/// port 0 asks the system for a free one.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
    shape: Option<Shape>,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// [`NetError::PortInUse`] or [`NetError::Bind`].
    pub fn bind(address: SocketAddr) -> Result<Self, NetError> {
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::AddrInUse => NetError::PortInUse { address },
            _ => NetError::Bind { address, reason: e.to_string() },
        };
        let socket = UdpSocket::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, shape: None })
    }

    /// Puts a slower link in front of the socket, if one is given.
    #[must_use]
    pub fn behind(self, shape: Option<Shape>) -> Self {
        Self { shape, ..self }
    }

    /// The address that the system gave.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the endpoint; must be called within the network runtime.
    pub(crate) fn into_endpoint(
        self,
        profile: LinkProfile,
        server: Option<quinn::ServerConfig>,
    ) -> Result<Endpoint, NetError> {
        let failed =
            |e: &dyn std::fmt::Display| NetError::Bind { address: self.address, reason: e.to_string() };
        let mut config = EndpointConfig::default();
        config.max_udp_payload_size(65_527).map_err(|e| failed(&e))?;
        // The kernel clamps to its own limit; a smaller buffer costs speed, not correctness.
        let buffers = socket2::SockRef::from(&self.socket);
        let _ = buffers.set_recv_buffer_size(4 << 20);
        let _ = buffers.set_send_buffer_size(4 << 20);
        let runtime = Arc::new(quinn::TokioRuntime);
        let inner = runtime
            .wrap_udp_socket(self.socket)
            .map_err(|e| NetError::Bind { address: self.address, reason: e.to_string() })?;
        let inner = match self.shape {
            Some(shape) => Arc::new(Shaped::new(inner, shape)) as Arc<dyn AsyncUdpSocket>,
            None => inner,
        };
        let segments = (UDP_SEND_MAX_BYTES / usize::from(profile.settings().mtu)).max(1);
        let segments = segments.min(inner.max_transmit_segments());
        let socket = Arc::new(BoundedBatches { inner, segments });
        Endpoint::new_with_abstract_socket(config, server, socket, runtime)
            .map_err(|e| NetError::Bind { address: self.address, reason: e.to_string() })
    }
}

/// A socket that never takes more packets in one call than the kernel can send.
#[derive(Debug)]
struct BoundedBatches {
    inner: Arc<dyn AsyncUdpSocket>,
    segments: usize,
}

impl AsyncUdpSocket for BoundedBatches {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
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
        self.segments
    }
    /// Quinn sets aside this many of the largest datagrams for each that it receives, 134 MB for a socket that joins 64, and a
    /// system with huge pages clears them all. Joined datagrams are no longer than one of the largest.
    fn max_receive_segments(&self) -> usize {
        1
    }
    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
