//! Enums whose variants are values of a metric's label.

/// Declares an enum with `ALL` and one label each, so that no variant can lack either.
macro_rules! label_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident => $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The value of the label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }
    };
}

pub(crate) use label_enum;
