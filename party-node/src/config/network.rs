//! `--net`: which network a node is on, or is made to be on.

use std::fmt;
use std::str::FromStr;

use ml_ops::Trees;
use serde::{Deserialize, Serialize};

use super::Link;
use crate::net::Shape;

/// A network on the command line: settings, and a shape unless it is this machine's own.
#[derive(Copy, Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Net {
    /// QUIC settings.
    pub link: Link,
    /// How it is slowed down.
    pub shape: Option<Shape>,
}

/// From this delay on, settings are those between sites.
const WAN_FROM_MS: f64 = 5.0;

/// As it is: nothing is put in front of the socket.
impl From<Link> for Net {
    fn from(link: Link) -> Self {
        Self { link, shape: None }
    }
}

/// `loopback`, `lan`, `wan`, or a shape.
impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape: Shape = match text {
            "loopback" => return Ok(Link::Loopback.into()),
            "lan" => Shape::LAN,
            "wan" => Shape::WAN,
            other => other
                .parse()
                .map_err(|e| format!("{e}; or `loopback`, `lan` (0.5ms/1gbit) or `wan` (40ms/100mbit)"))?,
        };
        let link = if shape.delay_ms < WAN_FROM_MS { Link::Lan } else { Link::Wan };
        Ok(Self { link, shape: Some(shape) })
    }
}

impl Net {
    /// What a round takes in milliseconds, and bytes per second, for estimates.
    #[must_use]
    pub fn nominal(&self) -> (f64, f64) {
        let shape = self.shape.unwrap_or(match self.link {
            Link::Loopback => Shape::LOOPBACK,
            Link::Lan => Shape::LAN,
            Link::Wan => Shape::WAN,
        });
        (shape.delay_ms, shape.bytes_per_second)
    }

    /// Trees of comparisons for parties that are all on such a network.
    #[must_use]
    pub fn trees(&self) -> Trees {
        let (delay_ms, rate) = self.nominal();
        ml_ops::Link::new((delay_ms * 1e3) as u32, rate as u64).map_or(Trees::DEFAULT, Trees::For)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            None => f.write_str(self.link.name()),
            Some(Shape::LAN) => f.write_str("lan"),
            Some(Shape::WAN) => f.write_str("wan"),
            Some(shape) => shape.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_printed() {
        for text in ["loopback", "lan", "wan", "3ms/10mbit", "80ms/1000mbit"] {
            assert_eq!(text.parse::<Net>().unwrap().to_string(), text);
        }
        assert_eq!("3ms/10mbit".parse::<Net>().unwrap().link, Link::Lan);
        assert!("moon".parse::<Net>().unwrap_err().contains("`wan`"));
    }
}
