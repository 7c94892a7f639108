//! When the stages of a push end, for who wants to know.

/// A part of the way of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its tenant and limits are known, and its request is charged.
    Identify,
    /// Its body is decoded, which may have waited for a decoding thread.
    Decode,
    /// Its items are charged.
    Charge,
    /// It has its answer and is recorded.
    Record,
}

impl Stage {
    /// The name of its end.
    #[must_use]
    pub fn ended(self) -> &'static str {
        match self {
            Self::Identify => "identified",
            Self::Decode => "decoded",
            Self::Charge => "charged",
            Self::Record => "recorded",
        }
    }
}

/// Is told the end of each stage that a push reaches, in order.
pub trait StageTimes: Send {
    /// A stage has just ended.
    fn ended(&mut self, stage: Stage);
}

/// Nobody wants to know, and nothing is measured.
impl StageTimes for () {
    fn ended(&mut self, _: Stage) {}
}
