//! Enums whose values have a spelling.

/// Defines an enum with `ALL`, in the order of definition, and the spelling of each value.
#[macro_export]
macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $value),*
        }

        impl $name {
            /// Every value, in the order of definition.
            pub const ALL: [Self; [$($name::$value),*].len()] = [$(Self::$value),*];

            /// The spelling in documents, metrics and reports.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text),*
                }
            }

            /// The value with this spelling.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == name)
            }
        }
    };
}
