//! Control: the one owner of the dataplane's desired state.

mod actor;
mod advice;
mod books;
pub mod capture;
mod compile;
mod crew;
pub mod desired;
mod ending;
mod explain;
mod fill;
mod ledger;
mod links;
mod list;
mod loops;
pub mod message;
mod persist;
mod rates;
mod reclaim;
mod server;
mod state;
mod tenure;

pub use actor::Control;
pub use compile::Compiler;
pub use crew::{Crew, Member};
pub use fill::Fill;
pub use persist::{RestoreError, StateFile, keep};
pub use state::State;
pub use tenure::{Leases, Tenures};
