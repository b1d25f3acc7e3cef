//! Figures: what was measured, how often, and against what.

use serde::Serialize;

/// A measured quantity.
#[derive(Serialize)]
pub struct Figure {
    /// Its name; a part of the bench's interface.
    pub name: String,
    /// What it is counted in.
    pub unit: &'static str,
    /// The least of the runs.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
    /// How many there were.
    pub runs: usize,
    /// Where the packets came from.
    pub source: &'static str,
    /// What the same packets gave in the program compared with, by its median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// The median as a share of the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

impl Figure {
    /// A figure of the values that the runs gave.
    pub fn new(name: impl Into<String>, unit: &'static str, source: &'static str, mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        let at = |n: usize| runs.get(n).copied().unwrap_or(f64::NAN);
        Figure {
            name: name.into(),
            unit,
            min: at(0),
            median: at(runs.len() / 2),
            max: at(runs.len().saturating_sub(1)),
            runs: runs.len(),
            source,
            reference: None,
            ratio: None,
        }
    }

    /// The figure beside what the program compared with gave.
    pub fn against(self, reference: Vec<f64>) -> Self {
        let reference = Figure::new("", self.unit, self.source, reference).median;
        Figure { reference: Some(reference), ratio: Some(self.median / reference), ..self }
    }
}
