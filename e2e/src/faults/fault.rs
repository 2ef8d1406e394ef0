//! What can go wrong with a call.

use std::fmt;
use std::str::FromStr;

/// What is done to one call, or to every watch of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The operator is killed before the write reaches the API server.
    KillBefore,
    /// The write is made, and the operator is killed before it hears of it.
    KillAfter,
    /// The write is made, and its answer is lost.
    LostReply,
    /// The write is not made, and no answer comes.
    TimeOut,
    /// The write is held; the operator is killed; its successor comes to rest; then the write reaches the API server.
    Held,
    /// The API server answers so without making the write.
    Answer(u16),
    /// The connection is reset before the write is made.
    Reset,
    /// For a few seconds the right to do this is missing.
    Forbidden,
    /// The operator that leads is told to stop right after this write, while another stands by.
    Handover,
    /// The read fails.
    ReadFails,
    /// The read takes two seconds longer.
    ReadDelayed,
    /// A list is answered as it was answered before.
    ListStale,
    /// What a check printed comes later than the operator waits for it.
    LogLate,
    /// What a check printed comes twice.
    LogTwice,
    /// Of what a check printed the second half is missing.
    LogCut,
    /// What a check printed is nothing that a check prints.
    LogGarbled,
    /// From the first record of the attempt on, nothing more comes through.
    WatchFrozen,
    /// The stream is cut instead of telling an event, several times.
    WatchDropped,
    /// Only the last of several events of one object is told.
    WatchCoalesced,
    /// Every event is told twice.
    WatchDuplicated,
    /// The stream ends with 410 instead of telling an event, several times: everything has to be listed anew.
    WatchGone,
}

/// What is done to each write.
pub const WRITES: [Fault; 13] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::LostReply,
    Fault::TimeOut,
    Fault::Held,
    Fault::Forbidden,
    Fault::Answer(409),
    Fault::Answer(422),
    Fault::Answer(429),
    Fault::Answer(500),
    Fault::Answer(503),
    Fault::Answer(504),
    Fault::Reset,
];

/// What is done to each read.
pub const READS: [Fault; 3] = [Fault::ReadFails, Fault::ReadDelayed, Fault::Forbidden];

/// What is done beside to each list that has changed since it was read before.
pub const LISTS: [Fault; 1] = [Fault::ListStale];

/// What is done beside to each reading of what a check printed.
pub const LOGS: [Fault; 4] = [Fault::LogLate, Fault::LogTwice, Fault::LogCut, Fault::LogGarbled];

/// What is done to each kind of watch.
pub const WATCHES: [Fault; 5] =
    [Fault::WatchFrozen, Fault::WatchDropped, Fault::WatchCoalesced, Fault::WatchDuplicated, Fault::WatchGone];

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::LostReply => "commit-and-drop",
            Self::TimeOut => "time-out",
            Self::Held => "hold-past-successor",
            Self::Answer(409) => "409",
            Self::Answer(422) => "422",
            Self::Answer(429) => "429",
            Self::Answer(500) => "500",
            Self::Answer(503) => "503",
            Self::Answer(_) => "504",
            Self::Reset => "reset",
            Self::Forbidden => "403",
            Self::Handover => "handover",
            Self::ReadFails => "fail",
            Self::ReadDelayed => "delay",
            Self::ListStale => "stale",
            Self::LogLate => "late",
            Self::LogTwice => "twice",
            Self::LogCut => "cut",
            Self::LogGarbled => "garbled",
            Self::WatchFrozen => "freeze",
            Self::WatchDropped => "drop",
            Self::WatchCoalesced => "coalesce",
            Self::WatchDuplicated => "duplicate",
            Self::WatchGone => "410",
        }
    }

    /// Whether it leaves a check without a verdict, so that the check is run once more.
    pub fn spoils_a_log(self) -> bool {
        matches!(self, Self::LogTwice | Self::LogCut | Self::LogGarbled)
    }

    /// Whether it is about every stream of a kind instead of one call.
    pub fn is_of_watches(self) -> bool {
        WATCHES.contains(&self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        // A watch's 410 is told from an answer by the call it is for, see `Plan::from_str`.
        let all = WRITES.into_iter().chain([Self::Handover]).chain(READS).chain(LISTS).chain(LOGS).chain(WATCHES);
        let words = || all.clone().map(Self::word).collect::<Vec<_>>().join(", ");
        all.clone().find(|fault| fault.word() == word).ok_or_else(|| format!("{word:?} is no fault: {}", words()))
    }
}

/// What the API server would say with this code.
pub fn status(code: u16) -> serde_json::Value {
    let (reason, message) = match code {
        403 => ("Forbidden", "the request is forbidden: the user cannot do this at the moment"),
        409 => {
            ("Conflict", "the object has been modified; please apply your changes to the latest version and try again")
        }
        422 => ("Invalid", "the server rejected our request due to an error in our request"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within requested timeout"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code,
    })
}
