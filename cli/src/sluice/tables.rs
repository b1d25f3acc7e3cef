//! Listings for people: a line of headings, then a line a row, in columns.

use api::MacAddr;
use api::row::{
    AddressRow, ConnectionRow, FactRow, LinkRow, LocalAddressRow, NeighbourRow, Query, RouteRow, Row, ServerRow,
    ServiceRow,
};
use api::vrrp::{Router, RouterSent, TenureRow};
use comfy_table::{CellAlignment, Table, presets};

use super::{explain, stats};

/// The headings of a listing; none for what is not one table.
pub(super) fn headings(query: &Query) -> &'static [&'static str] {
    match query {
        Query::Addresses { .. } => &["ADDRESS", "DEVICE", "PORTS USED", "FREE", "MISSED", "OWNERS"],
        Query::Routes { .. } => &["DESTINATION", "VIA", "DEVICE", "SOURCE", "SCOPE", "MTU", "METRIC", "OWNERS", ""],
        Query::Neighbours { .. } => &["ADDRESS", "DEVICE", "MAC", "STATE", "OWNERS"],
        Query::Links { .. } => &[
            "DEVICE", "STATE", "SPEED", "MTU", "MAC", "DRIVER", "QUEUES", "RX PKTS", "TX PKTS", "RX ERR", "TX ERR",
            "MISSED",
        ],
        Query::Services { .. } => &[
            "SERVICE",
            "SCHEDULER",
            "WEIGHT",
            "ACTIVE",
            "INACTIVE",
            "CONNS",
            "IN BYTES",
            "OUT BYTES",
            "STATE",
            "OWNERS",
        ],
        Query::LocalAddresses { .. } => &["SERVICE", "ADDRESS", "DEVICE", "CONNS", "OWNERS"],
        Query::Saved => &["OBJECT"],
        Query::Tenures => {
            &["TENURE", "DEVICE", "VRID", "PRIORITY", "ADDRESSES", "ADVERTS", "WITHHELD", "ARP", "EXPIRES"]
        }
        Query::Facts => &["FACT", "HOLDS", "OWNERS"],
        Query::Connections | Query::Stats | Query::Explain(_) => &[],
    }
}

/// The table of `rows` under `headings`; the books and explanations stand for themselves.
pub(super) fn text(headings: &[&str], rows: &[Row]) -> String {
    if let [Row::Stats(row)] = rows {
        return stats::text(row);
    }
    if let [Row::Explanation(row)] = rows {
        return explain::text(row);
    }
    columns(headings, rows.iter().flat_map(cells))
}

/// Aligns cells in columns, to the right in those of numbers.
pub(super) fn columns(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for index in 0..table.column_count() {
        let cells: Vec<String> = table.column_cells_iter(index).flatten().map(comfy_table::Cell::content).collect();
        let is_number = |cell: &String| cell.parse().is_ok_and(f64::is_finite);
        let numbers = cells.iter().any(is_number) && cells.iter().all(|cell| cell == "-" || is_number(cell));
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if numbers {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.to_string()
}

/// The lines of a row.
fn cells(row: &Row) -> Vec<Vec<String>> {
    match row {
        Row::Address(row) => vec![address(row)],
        Row::Route(row) => vec![route(row)],
        Row::Neighbour(row) => vec![neighbour(row)],
        Row::Link(row) => vec![link(row)],
        Row::Service(row) => service(row),
        Row::LocalAddress(row) => vec![local_address(row)],
        Row::Saved(object) => vec![vec![object.to_string()]],
        Row::Tenure(row) => tenure(row),
        Row::Fact(row) => vec![fact(row)],
        Row::Connection(_) | Row::Stats(_) | Row::Explanation(_) => Vec::new(),
    }
}

/// A line for each virtual router.
fn tenure(row: &TenureRow) -> Vec<Vec<String>> {
    let routers = row.tenure.routers.iter().zip(&row.sent);
    let line = |(router, sent): (&Router, &RouterSent)| {
        let adverts = router.adverts.as_ref();
        let addresses: Vec<String> = router.addresses.iter().map(|vip| vip.address.to_string()).collect();
        vec![
            row.tenure.name.clone(),
            or_dash(adverts.map(|adverts| with_mac(&adverts.device, adverts.virtual_mac()))),
            or_dash(adverts.map(|adverts| adverts.fields.vrid)),
            or_dash(adverts.map(|adverts| adverts.fields.priority)),
            addresses.join(" "),
            sent.adverts.to_string(),
            sent.withheld.to_string(),
            sent.announcements.to_string(),
            format!("{:.1} s", row.expires_in.as_secs_f64()),
        ]
    };
    routers.map(line).collect()
}

fn fact(row: &FactRow) -> Vec<String> {
    vec![row.fact.name.clone(), if row.fact.holds { "yes" } else { "no" }.to_owned(), row.owners.to_string()]
}

/// An interface with the MAC address that a virtual router has there, where it is not the interface's.
pub(super) fn with_mac(interface: &str, virtual_mac: Option<MacAddr>) -> String {
    virtual_mac.map_or_else(|| interface.to_owned(), |mac| format!("{interface} ({mac})"))
}

pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn address(row: &AddressRow) -> Vec<String> {
    let ports = row.ports;
    vec![
        format!("{}/{}", row.address.address, row.address.prefix_len),
        row.address.device.clone(),
        or_dash(ports.map(|ports| ports.used)),
        or_dash(ports.map(|ports| ports.free)),
        or_dash(ports.map(|ports| ports.missed)),
        row.owners.to_string(),
    ]
}

fn route(row: &RouteRow) -> Vec<String> {
    let route = &row.route;
    vec![
        route.prefix.to_string(),
        or_dash(route.via),
        route.device.clone(),
        or_dash(route.source),
        route.scope.to_string(),
        row.effective_mtu.to_string(),
        route.metric.to_string(),
        row.owners.to_string(),
        if row.implied { "with its address" } else { "" }.to_owned(),
    ]
}

fn neighbour(row: &NeighbourRow) -> Vec<String> {
    vec![
        row.address.to_string(),
        row.device.clone(),
        or_dash(row.mac).to_lowercase(),
        if row.is_static { "static".to_owned() } else { row.state.name().to_lowercase() },
        row.owners.to_string(),
    ]
}

fn link(row: &LinkRow) -> Vec<String> {
    let counters = row.counters;
    vec![
        row.name.clone(),
        if row.up { "up" } else { "down" }.to_owned(),
        row.speed_mbps.map_or_else(|| "-".to_owned(), |speed| format!("{speed} Mbit/s")),
        row.mtu.to_string(),
        row.mac.to_string().to_lowercase(),
        row.driver.clone(),
        format!("{} rx {} tx", row.rx_queues, row.tx_queues),
        counters.ipackets.to_string(),
        counters.opackets.to_string(),
        counters.ierrors.to_string(),
        counters.oerrors.to_string(),
        (counters.imissed + counters.rx_nombuf).to_string(),
    ]
}

fn service(row: &ServiceRow) -> Vec<Vec<String>> {
    let sum = |of: fn(&ServerRow) -> u64| row.servers.iter().map(of).sum::<u64>().to_string();
    let traffic = row.traffic;
    let head = vec![
        row.service.key.to_string(),
        row.service.scheduler.to_string(),
        "-".to_owned(),
        sum(|server| server.active),
        sum(|server| server.inactive),
        traffic.connections.to_string(),
        traffic.in_bytes.to_string(),
        traffic.out_bytes.to_string(),
        String::new(),
        row.owners.to_string(),
    ];
    std::iter::once(head).chain(row.servers.iter().map(server)).collect()
}

fn server(row: &ServerRow) -> Vec<String> {
    let key = row.server.key;
    vec![
        format!("  -> {}", std::net::SocketAddr::new(key.address, key.port)),
        String::new(),
        row.server.weight.to_string(),
        row.active.to_string(),
        row.inactive.to_string(),
        row.traffic.connections.to_string(),
        row.traffic.in_bytes.to_string(),
        row.traffic.out_bytes.to_string(),
        state(row).to_owned(),
        row.owners.to_string(),
    ]
}

/// Why a server takes no new connections.
fn state(row: &ServerRow) -> &'static str {
    match &row.server {
        server if server.drain.is_some() => "draining",
        server if server.weight == 0 => "quiescent",
        _ if row.overloaded => "overload",
        _ => "",
    }
}

fn local_address(row: &LocalAddressRow) -> Vec<String> {
    vec![
        row.local.service.to_string(),
        row.local.address.to_string(),
        row.local.device.clone(),
        row.connections.to_string(),
        row.owners.to_string(),
    ]
}

/// Connections may be millions: their columns have fixed widths and each is printed as it comes.
pub(super) fn connection_headings() -> String {
    connection_line(["WORKER", "PROTO", "STATE", "EXPIRES", "CLIENT", "VIRTUAL", "LOCAL", "SERVER"])
}

/// The line of a connection.
pub(super) fn connection(row: &ConnectionRow) -> String {
    let expires = format!("{} s", row.expires_in);
    connection_line([
        &row.worker.to_string(),
        &row.protocol.to_string(),
        &row.state,
        &expires,
        &row.client.to_string(),
        &row.virt.to_string(),
        &row.local.to_string(),
        &row.server.to_string(),
    ])
}

fn connection_line([worker, protocol, state, expires, client, virt, local, server]: [&str; 8]) -> String {
    format!(
        "{worker:<6}  {protocol:<5}  {state:<13}  {expires:<7}  {client:<21}  {virt:<21}  {local:<21}  {server:<21}"
    )
}

#[cfg(test)]
mod tests;
