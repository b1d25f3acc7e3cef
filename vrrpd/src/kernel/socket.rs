//! A raw socket for one virtual router on one interface.

use super::sys::readable;
use crate::Advert;
use net::vrrp::{Envelope, GROUP_V4, GROUP_V6, PROTOCOL, TTL, Vrid};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv6RecvHopLimit, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, recvmsg, sendmsg, setsockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// The class of network control: a busy link drops others first (RFC 2474, 4.2.2.2).
const NETWORK_CONTROL: u32 = 0xc0;
/// As much of a packet as is read: an advertisement of any length fits a usual link.
const MAX_PACKET: usize = 9216;

/// Sends and receives the messages of one virtual router.
pub(crate) struct VrrpSocket {
    socket: AsyncFd<Socket>,
    index: u32,
}

/// A message, and what of its packet matters.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) ip: Envelope,
    pub(crate) payload: Vec<u8>,
}

impl VrrpSocket {
    /// Opens one on an interface; to `multicast` ones, what is sent to the group is delivered too.
    ///
    /// # Errors
    /// When the interface is gone, or without the capability CAP_NET_RAW.
    pub(crate) fn open(name: &str, index: u32, ipv6: bool, vrid: Vrid, multicast: bool) -> io::Result<Self> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let protocol = Protocol::from(i32::from(PROTOCOL));
        let socket = Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(protocol))?;
        // First of all, so that messages for others are no work.
        socket.attach_filter(&only(vrid, ipv6))?;
        socket.bind_device(Some(name.as_bytes()))?;
        if ipv6 {
            socket.set_unicast_hops_v6(TTL.into())?;
            socket.set_multicast_hops_v6(TTL.into())?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_all_v6(false)?;
            socket.set_tclass_v6(NETWORK_CONTROL)?;
            setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
            setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
            if multicast {
                socket.join_multicast_v6(&GROUP_V6, index)?;
            }
        } else {
            socket.set_ttl_v4(TTL.into())?;
            socket.set_multicast_ttl_v4(TTL.into())?;
            socket.set_multicast_loop_v4(false)?;
            socket.set_multicast_all_v4(false)?;
            socket.set_tos_v4(NETWORK_CONTROL)?;
            if multicast {
                socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
            }
        }
        Ok(Self { socket: readable(socket)?, index })
    }

    /// The index of its interface.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Waits until there may be something to receive.
    ///
    /// # Errors
    /// When the runtime ends.
    pub(crate) async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, Socket>> {
        self.socket.readable().await
    }

    /// The next message; `None` when there is none, or none more.
    pub(crate) fn receive(&self) -> Option<Message> {
        let fd = self.socket.get_ref().as_raw_fd();
        let mut bytes = [0; MAX_PACKET];
        let mut space = cmsg_space!(i32, in6_pktinfo);
        loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let received = match recvmsg::<SockaddrIn6>(fd, &mut parts, Some(&mut space), MsgFlags::empty()) {
                Ok(received) => received,
                Err(Errno::EINTR) => continue,
                // The link went down, say: what became of it is known from elsewhere.
                Err(_) => return None,
            };
            let (mut hop_limit, mut destination) = (0, Ipv6Addr::UNSPECIFIED);
            for control in received.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::Ipv6HopLimit(hops) => hop_limit = hops as u8,
                    ControlMessageOwned::Ipv6PacketInfo(info) => destination = info.ipi6_addr.s6_addr.into(),
                    _ => (),
                }
            }
            let (length, sender) = (received.bytes, received.address.map(|address| address.ip()));
            let message = match sender {
                Some(source) if !destination.is_unspecified() => {
                    let ip = Envelope::V6 { source, destination, hop_limit };
                    Some(Message { ip, payload: bytes[..length].to_vec() })
                }
                _ => of_ipv4(&bytes[..length]),
            };
            if message.is_some() {
                return message;
            }
        }
    }

    /// Sends an advertisement to a router, or to the group.
    ///
    /// # Errors
    /// When the interface is down, the address gone or there is no room.
    pub(crate) fn send(&self, advert: &Advert, destination: IpAddr) -> io::Result<()> {
        let message = advert.message(destination).map_err(io::Error::other)?;
        let fd = self.socket.get_ref().as_raw_fd();
        let parts = [IoSlice::new(&message)];
        match (advert.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let to = SockaddrIn::from(SocketAddrV4::new(destination, 0));
                let info = in_pktinfo {
                    ipi_ifindex: self.index as i32,
                    ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                sendmsg(fd, &parts, &[ControlMessage::Ipv4PacketInfo(&info)], MsgFlags::empty(), Some(&to))?;
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, self.index));
                let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: source.octets() }, ipi6_ifindex: self.index };
                sendmsg(fd, &parts, &[ControlMessage::Ipv6PacketInfo(&info)], MsgFlags::empty(), Some(&to))?;
            }
            _ => return Err(io::Error::other("source and destination are of two families")),
        }
        Ok(())
    }
}

/// Sockets of IPv4 deliver the packet with its header.
fn of_ipv4(packet: &[u8]) -> Option<Message> {
    let header = net::ipv4::Header::view(packet)?;
    let payload = packet.get(header.header_len()..)?.to_vec();
    Some(Message {
        ip: Envelope::V4 { source: header.source(), destination: header.destination(), ttl: header.ttl },
        payload,
    })
}

/// Passes the messages of one virtual router: those with its number in the second byte.
fn only(vrid: Vrid, ipv6: bool) -> Vec<SockFilter> {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_BYTE_BEHIND_X: u16 = 0x50;
    const LOAD_X_WITH_HEADER_LEN: u16 = 0xb1;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let load = if ipv6 {
        vec![SockFilter::new(LOAD_BYTE, 0, 0, 1)]
    } else {
        vec![SockFilter::new(LOAD_X_WITH_HEADER_LEN, 0, 0, 0), SockFilter::new(LOAD_BYTE_BEHIND_X, 0, 0, 1)]
    };
    let test = [
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, vrid.get().into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    load.into_iter().chain(test).collect()
}
