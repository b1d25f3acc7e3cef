//! What the bench leaves behind: a file for programs and a table for people.

use std::path::Path;

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};

use crate::figure::Figure;
use crate::machine::Machine;

/// What a figure, or its ratio where it has a reference, should reach: what it must, and what would be better still.
struct Target {
    name: &'static str,
    must: f64,
    stretch: f64,
}

const TARGETS: &[Target] = &[
    target("engine_fnat_udp_cycles_64k", 180.0, 110.0),
    target("engine_fnat_udp_cycles_1m", 220.0, 140.0),
    target("engine_fnat_udp_cycles_10m", 320.0, 200.0),
    target("engine_fnat_tcp_cycles_64k", 180.0, 110.0),
    target("engine_fnat_tcp_cycles_1m", 220.0, 140.0),
    target("engine_fnat_tcp_cycles_10m", 320.0, 200.0),
    target("process_fnat_udp_mpps_1k", 0.28, 0.42),
    target("process_fnat_udp_mpps_64k", 0.36, 0.55),
    target("process_fnat_udp_mpps_1m", 0.30, 0.50),
    target("process_instructions_per_packet", 600.0, 350.0),
    target("scaling_2_workers", 1.7, 1.9),
    target("cps_udp_per_s", 1.5e6, 3e6),
    target("tcp_lives_per_s", 5e5, 1e6),
    target("bytes_per_connection", 192.0, 128.0),
    target("lip_kb_per_worker", 512.0, 256.0),
    target("sweep_cpu_percent_10m_idle", 3.0, 1.0),
    target("loop_cpu_us_p9999_mass_expiry", 100.0, 50.0),
    target("idle_cpu_percent", 5.0, 3.0),
    target("first_packet_us", 60.0, 40.0),
    target("first_packet_idle_us", 2500.0, 1200.0),
    target("syn_flood_survival", 99.9, 99.99),
    target("syn_flood_new_handshakes", 90.0, 99.0),
];

const fn target(name: &'static str, must: f64, stretch: f64) -> Target {
    Target { name, must, stretch }
}

impl Target {
    /// How a value stands to it.
    fn verdict(&self, value: f64) -> &'static str {
        let less_is_better = self.stretch < self.must;
        let reaches = |bound: f64| if less_is_better { value <= bound } else { value >= bound };
        match (reaches(self.stretch), reaches(self.must)) {
            (true, _) => "stretch",
            (_, true) => "must",
            _ => "missed",
        }
    }
}

/// Writes the figures and the machine as JSON files into a directory, which is made.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path, figures: &[Figure], machine: &Machine) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let put = |name: &str, json: String| {
        let path = directory.join(name);
        std::fs::write(&path, json + "\n").with_context(|| format!("cannot write {}", path.display()))
    };
    put("report.json", serde_json::to_string_pretty(figures)?)?;
    put("machine.json", serde_json::to_string_pretty(machine)?)
}

/// The figures as a table, the targets beside them.
pub fn table(figures: &[Figure]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["figure", "min", "median", "max", "unit", "of reference", "must", "stretch", "reached"]);
    for figure in figures {
        let target = TARGETS.iter().find(|target| target.name == figure.name);
        let bound = |of: fn(&Target) -> f64| target.map_or(String::new(), |target| number(of(target)));
        table.add_row([
            figure.name.clone(),
            number(figure.min),
            number(figure.median),
            number(figure.max),
            figure.unit.into(),
            figure.ratio.map_or(String::new(), number),
            bound(|target| target.must),
            bound(|target| target.stretch),
            target.map_or("", |target| target.verdict(figure.ratio.unwrap_or(figure.median))).into(),
        ]);
    }
    for column in [1, 2, 3, 5, 6, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A number to three digits or so.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.0}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_better_where_the_stretch_is_less() {
        let cycles = target("", 180.0, 110.0);
        assert_eq!([100.0, 110.0, 150.0, 181.0].map(|v| cycles.verdict(v)), ["stretch", "stretch", "must", "missed"]);
        let rate = target("", 1.5, 3.0);
        assert_eq!([1.0, 1.5, 3.0].map(|v| rate.verdict(v)), ["missed", "must", "stretch"]);
    }

    #[test]
    fn a_table_has_a_line_for_every_figure() {
        let figures = [Figure::new("lip_kb_per_worker", "KiB", "size", vec![130.0, 120.0, 140.0])];
        let table = table(&figures);
        assert!(table.contains("lip_kb_per_worker") && table.contains("130") && table.contains("stretch"), "{table}");
    }

    #[test]
    fn a_figure_with_a_reference_is_judged_by_its_ratio() {
        let figure = Figure::new("process_fnat_udp_mpps_1k", "Mpps", "net_pcap", vec![5.0]).against(vec![10.0]);
        let table = table(&[figure]);
        let line = table.lines().last().unwrap();
        assert!(line.contains("0.500") && line.trim_end().ends_with("stretch"), "{line}");
    }
}
