//! The worker lcores: their loop, what they are told and what they tell.

mod clock;
mod frame;
mod handover;
mod idle;
mod lcore;
mod mail;
mod output;
mod tap;

pub use clock::Clock;
pub use frame::{Frame, FramePool};
pub use handover::{Handover, handovers};
pub use idle::Idle;
pub use lcore::{Lcore, Queues, Stop};
pub use mail::{Answer, ControlEnd, HeardMessage, Mail, Question, Returned, WorkerEnd, rings};
pub use tap::{MAX_TAPS, Seen, Tap, TapReader, tap};
