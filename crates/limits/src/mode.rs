//! Whether a tenant's limits are enforced.

/// What a decision does to a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Pushes over a limit are denied.
    Enforce,
    /// Pushes are decided, charged and counted, never denied.
    Shadow,
    /// Pushes are forwarded without a decision; nothing is charged.
    Off,
}

impl Mode {
    /// Every mode, the strictest first.
    pub const ALL: [Mode; 3] = [Mode::Enforce, Mode::Shadow, Mode::Off];

    /// The mode with this spelling.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// The spelling in a document, metrics and the admin API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }
}
