//! Load on a Service, and the account of every answer.
//!
//! A generator (the program `load`, [`generator`]) keeps a bounded number of clients asking at a bounded rate and
//! writes every answer, with the microseconds at which it was asked for and came, as lines of JSON. A [`Load`] runs
//! that program where the clients are to live, reads its lines and keeps the [`Ledger`], from which everything
//! asked later is computed: what each version served, what failed and when, which version answered last, for
//! how long two versions answered side by side. Nothing here judges: what may fail is for the suite to say.
//!
//! **A request failed** when its connection was refused, reset or closed without an answer, when nothing came
//! within [`generator::TIMEOUT`], when the status is no success, or when the body is short or not the
//! application's. **It is made again** in one case only, as any HTTP client does: on a kept connection of which
//! not one byte of the request was written, because the server had closed it while it was idle. Opening a new
//! connection after the server announced the end of the old one is no retry. Both are counted apart as
//! reconnects ([`Opened::Reopened`], [`Opened::Retried`]).

pub mod generator;
mod handle;
mod ledger;
mod sample;

pub use handle::{Load, LoadError};
pub use ledger::{Ledger, Mixed, Served, Snapshot};
pub use sample::{Line, Micros, Opened, Outcome, Sample};
