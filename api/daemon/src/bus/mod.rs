//! What the fronts on D-Bus have in common: names, and who may change things.

mod authority;
mod name;

pub use authority::{Authority, NotAdmitted};
pub use name::{escape, of_instance};
