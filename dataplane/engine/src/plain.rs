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
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::flow::{Direction, Flow, Words};
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
    pub(crate) key: Words,
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
        let plain = is(ethernet.destination, ours)
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
        let key = Words {
            addresses: u64::from_ne_bytes(*ip.as_bytes().last_chunk()?),
            ports: u32::from_ne_bytes(*udp.as_bytes().first_chunk()?),
            protocol: ip.protocol,
        };
        Some(Plain { key, total_len, acknowledgement })
    }
}

/// Whether an address is this one, compared as two overlapping numbers: of six bytes the compiler would make one.
#[inline]
fn is(address: [u8; 6], this: MacAddr) -> bool {
    let this = this.into_array();
    address.first_chunk::<4>() == this.first_chunk::<4>() && address.last_chunk::<4>() == this.last_chunk::<4>()
}

/// Rewrites a plain packet of a connection, to go to a MAC address from another. `false`: it is not plain, and unchanged.
#[inline(always)]
#[must_use]
pub(crate) fn rewrite(
    packet: &mut impl Buffer,
    plain: &Plain,
    flow: &Flow,
    direction: Direction,
    link: (&MacAddr, &MacAddr),
) -> bool {
    packet.truncate(ethernet::HEADER_LEN + usize::from(plain.total_len));
    let key = flow.key_after(direction);
    let addresses = Delta::NONE.replace64(plain.key.addresses, key.addresses);
    let delta = addresses.replace32(plain.key.ports, key.ports);
    let bytes = packet.bytes_mut();
    if plain.acknowledgement.is_some() {
        let Ok((headers, _)) = Headers::<tcp::Header>::mut_from_prefix(bytes) else { return false };
        let delta = delta.combine(fullnat::shift_numbers(&mut headers.transport, flow.sequence_delta, direction));
        change(&mut headers.transport.checksum, |checksum| delta.apply(checksum));
    }
    // TCP's ports are where UDP's are.
    let Ok((headers, _)) = Headers::<udp::Header>::mut_from_prefix(bytes) else { return false };
    if plain.acknowledgement.is_none() {
        change(&mut headers.transport.checksum, |checksum| delta.apply_udp(checksum));
    }
    headers.readdress(link, key, addresses);
    true
}

impl Headers<udp::Header> {
    /// Gives the packet its MAC addresses, and its addresses and ports.
    #[inline]
    fn readdress(&mut self, (to, from): (&MacAddr, &MacAddr), key: Words, delta: Delta) {
        self.ethernet.destination = to.into_array();
        self.ethernet.source = from.into_array();
        if let Some(addresses) = self.ip.as_mut_bytes().last_chunk_mut() {
            *addresses = key.addresses.to_ne_bytes();
        }
        change(&mut self.ip.checksum, |checksum| delta.apply(checksum));
        if let Some(ports) = self.transport.as_mut_bytes().first_chunk_mut() {
            *ports = key.ports.to_ne_bytes();
        }
    }
}

/// Changes a checksum, in the machine's order like the keys.
#[inline]
fn change(checksum: &mut U16, by: impl FnOnce(u16) -> u16) {
    *checksum = U16::from_bytes(by(u16::from_ne_bytes(checksum.to_bytes())).to_ne_bytes());
}
