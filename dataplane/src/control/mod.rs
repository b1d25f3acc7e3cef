//! Control: the one owner of the dataplane's desired state.

mod actor;
mod books;
mod compile;
mod crew;
pub mod desired;
mod ledger;
mod list;
pub mod message;
mod state;

pub use actor::Control;
pub use compile::Compiler;
pub use crew::{Crew, Member};
pub use state::State;
