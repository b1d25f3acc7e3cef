//! vrrpd on D-Bus: an object for each instance, with how it is as properties and the operator's hand as methods.
//!
//! Nothing depends on it: a bus that is missing, dies or does not read holds up the one task that serves it.

mod error;
mod front;
mod instance;
mod path;
mod root;

pub use front::{Front, run};
