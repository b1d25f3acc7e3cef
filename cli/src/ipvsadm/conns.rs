//! The listing of connections: `ipvsadm -lc`.

use api::row::ConnectionRow;

/// The line of a connection. Like DPVS it shows the timeout of the connection's state, not what remains of it.
pub(super) fn line(row: &ConnectionRow) -> String {
    let timeout = format!("{}s", row.timeout);
    format!(
        "[{}]{:<3} {timeout:<6} {:<11} {:<18} {:<18} {:<18} {}",
        row.lcore,
        row.protocol.to_string(),
        row.state,
        row.client.to_string(),
        row.virt.to_string(),
        row.local.to_string(),
        row.server
    )
}

#[cfg(test)]
mod tests {
    use api::Protocol;

    use super::*;

    #[test]
    fn as_dpvs_prints_it() {
        let row = ConnectionRow {
            worker: 0,
            lcore: 1,
            protocol: Protocol::Tcp,
            state: "TCP_EST".into(),
            expires_in: 12,
            timeout: 90,
            client: "192.168.88.15:51540".parse().unwrap(),
            virt: "192.168.88.100:80".parse().unwrap(),
            local: "192.168.88.241:1030".parse().unwrap(),
            server: "192.168.88.15:80".parse().unwrap(),
        };
        assert_eq!(
            line(&row),
            "[1]tcp 90s    TCP_EST     192.168.88.15:51540 192.168.88.100:80  192.168.88.241:1030 192.168.88.15:80"
        );
    }
}
