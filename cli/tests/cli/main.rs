//! The real program against a dataplane, and a vrrpd, of canned replies.

mod capture;
mod failures;
mod fake;
mod output;
mod requests;
mod vrrp;
