//! The kinds of problems, with stable codes.

macro_rules! codes {
    ($($code:ident = $id:literal, $name:literal, $doc:literal;)*) => {
        /// The kind of a problem. The codes are stable: a new kind gets a new number, and no number is reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $code),*
        }

        impl Code {
            /// Every kind, in the order of the codes.
            pub const ALL: &'static [Code] = &[$(Code::$code),*];

            /// The code, such as `MRC0012`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Code::$code => $id),*
                }
            }

            /// The name, such as `duplicate-tenant`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$code => $name),*
                }
            }

            /// The kind with this [`Code::id`].
            #[must_use]
            pub fn from_id(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.id() == id)
            }
        }
    };
}

codes! {
    UnreadableSource = "MRC0001", "unreadable-source", "The file, ConfigMap or URL cannot be read.";
    TooLarge = "MRC0002", "too-large", "The document is larger than is read, or becomes so once its aliases are followed.";
    BadCharacters = "MRC0003", "bad-characters", "Bytes that are not text, or characters that YAML does not allow.";
    BadGzip = "MRC0004", "bad-gzip", "The name ends in `.gz` and the bytes are no gzip, or the reverse.";
    BadSyntax = "MRC0005", "bad-syntax", "Not valid YAML.";
    BadAlias = "MRC0006", "bad-alias", "An alias of nothing, of itself, or too many of them.";
    BadMerge = "MRC0007", "bad-merge", "A merge key `<<` with something else than mappings.";
    BadKey = "MRC0008", "bad-key", "A key that is a list or a mapping.";
    BadTag = "MRC0009", "bad-tag", "A tag that its value cannot have.";
    DuplicateKey = "MRC0010", "duplicate-key", "A key appears twice.";
    NotARuntimeConfiguration = "MRC0011", "not-a-runtime-configuration", "The document is something else.";
    DuplicateTenant = "MRC0012", "duplicate-tenant", "A tenant appears twice.";
    ConflictingSources = "MRC0013", "conflicting-sources", "Two files that cannot be merged.";
    SecondDocument = "MRC0014", "second-document", "A second YAML document, which is not read.";
    UnreadKey = "MRC0015", "unread-key", "A key of a ConfigMap that is not read.";
    UnknownField = "MRC0020", "unknown-field", "A field that Mimir does not have.";
    UnknownSection = "MRC0021", "unknown-section", "A key at the top of the document that Mimir does not have.";
    UnknownToThisVersion = "MRC0022", "unknown-to-this-version", "A field that this Mimir may or may not have.";
    EdgeSetting = "MRC0023", "edge-setting", "A setting of the edge in Mimir's document.";
    FieldNamedTwice = "MRC0024", "field-named-twice", "A field and another spelling of it.";
    WrongType = "MRC0030", "wrong-type", "A value of another type than its field's.";
    BadValue = "MRC0031", "bad-value", "A value that its field does not take.";
    BrokenRule = "MRC0032", "broken-rule", "Fields that Mimir does not take together.";
    BadExpression = "MRC0033", "bad-expression", "A regular expression or matcher that does not compile.";
    UnmatchedTenant = "MRC0040", "unmatched-tenant", "A tenant that no push can be of.";
    NoTenants = "MRC0041", "no-tenants", "There is no tenant any more.";
    LeftToMimir = "MRC0042", "left-to-mimir", "A relabelling rule that the edge cannot run.";
    NoDefaultLimits = "MRC0043", "no-default-limits", "No flag gives the limits of tenants without an override.";
    DiffersFromMimir = "MRC0050", "differs-from-mimir", "The running Mimir has another value.";
    MoreProblems = "MRC0099", "more-problems", "There are more than are listed.";
    Other = "MRC0100", "other", "Another, of a newer program.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_code_and_a_name_of_its_own() {
        assert!(Code::ALL.is_sorted_by(|left, right| left.id() < right.id()));
        let names: std::collections::HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_id(code.id()), Some(*code));
        }
    }
}
