//! How long a connection lives in each state without a packet, in seconds: 1 to 31535999 (a year).

use serde::Deserialize;

use super::value::number;

/// The timeouts of connections, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// A new connection, until its first transition.
    #[serde(deserialize_with = "seconds")]
    pub conn_init: u32,
    /// TCP connections.
    pub tcp: TcpTimeouts,
    /// UDP connections.
    pub udp: UdpTimeouts,
}

/// The timeouts of TCP states, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the states")]
pub struct TcpTimeouts {
    #[serde(deserialize_with = "seconds")]
    pub none: u32,
    #[serde(deserialize_with = "seconds")]
    pub established: u32,
    #[serde(deserialize_with = "seconds")]
    pub syn_sent: u32,
    #[serde(deserialize_with = "seconds")]
    pub syn_recv: u32,
    #[serde(deserialize_with = "seconds")]
    pub fin_wait: u32,
    #[serde(deserialize_with = "seconds")]
    pub time_wait: u32,
    #[serde(deserialize_with = "seconds")]
    pub close: u32,
    #[serde(deserialize_with = "seconds")]
    pub close_wait: u32,
    #[serde(deserialize_with = "seconds")]
    pub last_ack: u32,
    #[serde(deserialize_with = "seconds")]
    pub listen: u32,
    #[serde(deserialize_with = "seconds")]
    pub synack: u32,
    #[serde(deserialize_with = "seconds")]
    pub last: u32,
}

/// The timeouts of UDP states, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UdpTimeouts {
    /// Only the client has sent.
    #[serde(deserialize_with = "seconds")]
    pub oneway: u32,
    /// Both sides have sent.
    #[serde(deserialize_with = "seconds")]
    pub normal: u32,
    /// The connection is about to go.
    #[serde(deserialize_with = "seconds")]
    pub last: u32,
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    number::<D, u32, 1, 31_535_999>(deserializer)
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { conn_init: 3, tcp: TcpTimeouts::default(), udp: UdpTimeouts::default() }
    }
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        TcpTimeouts {
            none: 2,
            established: 90,
            syn_sent: 3,
            syn_recv: 30,
            fin_wait: 7,
            time_wait: 7,
            close: 3,
            close_wait: 7,
            last_ack: 7,
            listen: 120,
            synack: 30,
            last: 2,
        }
    }
}

impl Default for UdpTimeouts {
    fn default() -> Self {
        UdpTimeouts { oneway: 300, normal: 300, last: 2 }
    }
}
