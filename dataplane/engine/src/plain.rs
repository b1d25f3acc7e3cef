//! Plain packets: whole IPv4 packets without options that carry a UDP datagram, or a TCP segment without options that
//! does no more than carry data and acknowledge. Most packets are of this kind, and most of these belong to a
//! connection that needs nothing but its addresses and numbers rewritten; what is read here is enough for that.
//!
//! Whatever is not plain, or turns out to need more, is parsed in full: nothing is decided here.

use net::checksum::{self, Delta};
use net::ethernet::{self, EtherType};
use net::ipv4;
use net::tcp::{self, Flags};
use net::{Buffer, MacAddr, RxChecksum, udp};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::flow::{Direction, Flow, FlowKey};
use crate::fullnat;

/// The headers of a plain packet, one after the other.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Headers<T> {
    ethernet: ethernet::Header,
    ip: ipv4::Header,
    transport: T,
}

/// What a connection needs to know of a plain packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    pub(crate) key: FlowKey,
    /// Header and payload, in bytes.
    pub(crate) total_len: u16,
    /// What a TCP segment acknowledges.
    pub(crate) acknowledgement: Option<u32>,
}

const VERSION_4_WITHOUT_OPTIONS: u8 = 0x45;

impl Plain {
    /// Reads a frame received by an interface with this MAC address; `None` if it is not plain.
    #[inline]
    pub(crate) fn read(frame: &impl Buffer, ours: MacAddr) -> Option<Plain> {
        let bytes = frame.bytes();
        let (headers, rest) = Headers::<udp::Header>::ref_from_prefix(bytes).ok()?;
        let Headers { ethernet, ip, transport: udp } = headers;
        let total_len = ip.total_len.get();
        let transport_len = usize::from(total_len).checked_sub(ipv4::HEADER_LEN)?;
        let meta = frame.meta();
        let plain = ethernet.destination == ours.into_array()
            && ethernet.ethertype() == EtherType::IPV4
            && meta.vlan.is_none()
            && ip.version_ihl == VERSION_4_WITHOUT_OPTIONS
            && ip.is_whole()
            && transport_len <= rest.len() + udp::HEADER_LEN;
        if !plain || meta.ip_checksum != RxChecksum::Good && checksum::ones_complement(ip.as_bytes()) != 0xffff {
            return None;
        }
        let acknowledgement = match ip.protocol {
            ipv4::UDP => {
                let length = usize::from(udp.length.get());
                if !(udp::HEADER_LEN..=transport_len).contains(&length) {
                    return None;
                }
                None
            }
            ipv4::TCP => {
                let (Headers { transport: tcp, .. }, _) = Headers::<tcp::Header>::ref_from_prefix(bytes).ok()?;
                let plain = tcp.flags() | Flags::PSH == (Flags::ACK | Flags::PSH)
                    && tcp.header_len() == tcp::HEADER_LEN
                    && transport_len >= tcp::HEADER_LEN;
                if !plain {
                    return None;
                }
                Some(tcp.ack.get())
            }
            _ => return None,
        };
        let key = FlowKey {
            source: ip.source(),
            destination: ip.destination(),
            source_port: udp.src_port.get(),
            destination_port: udp.dst_port.get(),
            protocol: ip.protocol,
        };
        Some(Plain { key, total_len, acknowledgement })
    }
}

/// Rewrites a plain packet of a connection and gives it the Ethernet header of its next hop. `false`: it is not plain,
/// and unchanged.
#[inline]
#[must_use]
pub(crate) fn rewrite(
    packet: &mut impl Buffer,
    plain: &Plain,
    flow: &Flow,
    direction: Direction,
    header: ethernet::Header,
) -> bool {
    packet.truncate(ethernet::HEADER_LEN + usize::from(plain.total_len));
    let (source, destination) = fullnat::ends(&flow.endpoints(), direction);
    let key = &plain.key;
    let addresses = Delta::NONE
        .replace32(key.source.to_bits(), source.0.to_bits())
        .replace32(key.destination.to_bits(), destination.0.to_bits());
    let delta = addresses.replace16(key.source_port, source.1).replace16(key.destination_port, destination.1);
    let readdress = |ethernet: &mut ethernet::Header, ip: &mut ipv4::Header| {
        *ethernet = header;
        ip.source = source.0.octets();
        ip.destination = destination.0.octets();
        ip.checksum.set(addresses.apply(ip.checksum.get()));
    };
    if plain.acknowledgement.is_none() {
        let Ok((headers, _)) = Headers::<udp::Header>::mut_from_prefix(packet.bytes_mut()) else { return false };
        readdress(&mut headers.ethernet, &mut headers.ip);
        let udp = &mut headers.transport;
        udp.src_port.set(source.1);
        udp.dst_port.set(destination.1);
        udp.checksum.set(delta.apply_udp(udp.checksum.get()));
    } else {
        let Ok((headers, _)) = Headers::<tcp::Header>::mut_from_prefix(packet.bytes_mut()) else { return false };
        readdress(&mut headers.ethernet, &mut headers.ip);
        let tcp = &mut headers.transport;
        tcp.src_port.set(source.1);
        tcp.dst_port.set(destination.1);
        let delta = delta.combine(fullnat::shift_numbers(tcp, flow.sequence_delta, direction));
        tcp.checksum.set(delta.apply(tcp.checksum.get()));
    }
    true
}
