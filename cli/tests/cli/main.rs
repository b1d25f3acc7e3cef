//! The real program against a dataplane of canned replies.

mod capture;
mod failures;
mod fake;
mod output;
mod requests;
