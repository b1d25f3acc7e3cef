//! Listing connections a page at a time, into memory that the asker brings.

use super::Worker;
use crate::flow::{Endpoints, State};
use crate::time::{Tick, Time};

/// Table entries looked at for one page, so that a listing never holds a worker up.
const ENTRIES_PER_PAGE: u32 = 1024;

/// A connection as listed.
#[derive(Clone, Copy, Debug)]
pub struct FlowRow {
    /// The endpoints.
    pub endpoints: Endpoints,
    /// The state.
    pub state: State,
    /// Seconds until it expires if no packet comes, rounded up.
    pub expires_in: u32,
    /// The timeout of its state in seconds.
    pub timeout: u32,
    /// The server's slot.
    pub server_slot: u32,
}

/// A page of connections.
#[derive(Debug)]
pub struct FlowPage {
    next: Option<u32>,
    rows: Vec<FlowRow>,
}

impl FlowPage {
    /// A blank first page.
    pub fn new() -> Self {
        FlowPage { next: Some(0), rows: Vec::with_capacity(ENTRIES_PER_PAGE as usize) }
    }

    /// What the worker wrote on it.
    pub fn rows(&self) -> &[FlowRow] {
        &self.rows
    }

    /// Whether there are further pages: hand the same one in again.
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

impl Default for FlowPage {
    fn default() -> Self {
        FlowPage::new()
    }
}

impl<B: net::Buffer> Worker<'_, B> {
    /// Fills the next page.
    pub fn list(&self, page: &mut FlowPage, now: Time) {
        page.rows.clear();
        let Some(first) = page.next else { return };
        let end = self.flows.capacity().min(first + ENTRIES_PER_PAGE);
        let live = (first..end).map(|number| self.flows.flow(number)).filter(|flow| flow.is_live());
        page.rows.extend(live.map(|flow| FlowRow {
            endpoints: flow.endpoints(),
            state: flow.state(),
            expires_in: (flow.deadline().since(now.tick()).max(0) as u32).div_ceil(Tick::PER_SECOND),
            timeout: flow.timeout() / Tick::PER_SECOND,
            server_slot: flow.server_slot,
        }));
        page.next = (end < self.flows.capacity()).then_some(end);
    }
}
