//! The kinds of problems, with codes that stay as they are.

/// What kind of problem one is. The codes are stable: a new kind gets a new number, and none is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The file, ConfigMap or URL cannot be read.
    UnreadableSource,
    /// The document is larger than is read, or becomes so once its aliases are followed.
    TooLarge,
    /// Bytes that are no text, or characters that YAML does not allow.
    BadCharacters,
    /// The name ends in `.gz` and the bytes are no gzip, or the reverse.
    BadGzip,
    /// No YAML.
    BadSyntax,
    /// An alias of nothing, of itself, or too many of them.
    BadAlias,
    /// A merge key `<<` with something else than mappings.
    BadMerge,
    /// A key that is a list or a mapping.
    BadKey,
    /// A tag that its value cannot have.
    BadTag,
    /// A key is there twice.
    DuplicateKey,
    /// The document is something else.
    NotARuntimeConfiguration,
    /// A tenant is there twice.
    DuplicateTenant,
    /// Two files that cannot be merged.
    ConflictingSources,
    /// A second YAML document, which is not read.
    SecondDocument,
    /// A key of a ConfigMap that is not read.
    UnreadKey,
    /// A field that Mimir does not have.
    UnknownField,
    /// A key at the top of the document that Mimir does not have.
    UnknownSection,
    /// A field that this Mimir may or may not have.
    UnknownToThisVersion,
    /// A setting of the edge in Mimir's document.
    EdgeSetting,
    /// A field and another spelling of it.
    FieldNamedTwice,
    /// A value of another type than its field's.
    WrongType,
    /// A value that its field does not take.
    BadValue,
    /// Fields that Mimir does not take together.
    BrokenRule,
    /// A regular expression or matcher that does not compile.
    BadExpression,
    /// A tenant that no push can be of.
    UnmatchedTenant,
    /// There is no tenant any more.
    NoTenants,
    /// A relabelling rule that the edge cannot run.
    LeftToMimir,
    /// Nobody said what the limits of tenants without an override are.
    NoDefaultLimits,
    /// The running Mimir has another value.
    DiffersFromMimir,
    /// There are more than are listed.
    MoreProblems,
    /// Another, of a newer program.
    Other,
}

impl Code {
    /// Every one, in the order of their codes.
    pub const ALL: &'static [Code] = &[
        Code::UnreadableSource,
        Code::TooLarge,
        Code::BadCharacters,
        Code::BadGzip,
        Code::BadSyntax,
        Code::BadAlias,
        Code::BadMerge,
        Code::BadKey,
        Code::BadTag,
        Code::DuplicateKey,
        Code::NotARuntimeConfiguration,
        Code::DuplicateTenant,
        Code::ConflictingSources,
        Code::SecondDocument,
        Code::UnreadKey,
        Code::UnknownField,
        Code::UnknownSection,
        Code::UnknownToThisVersion,
        Code::EdgeSetting,
        Code::FieldNamedTwice,
        Code::WrongType,
        Code::BadValue,
        Code::BrokenRule,
        Code::BadExpression,
        Code::UnmatchedTenant,
        Code::NoTenants,
        Code::LeftToMimir,
        Code::NoDefaultLimits,
        Code::DiffersFromMimir,
        Code::MoreProblems,
        Code::Other,
    ];

    /// The code, such as `MRC0012`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Code::UnreadableSource => "MRC0001",
            Code::TooLarge => "MRC0002",
            Code::BadCharacters => "MRC0003",
            Code::BadGzip => "MRC0004",
            Code::BadSyntax => "MRC0005",
            Code::BadAlias => "MRC0006",
            Code::BadMerge => "MRC0007",
            Code::BadKey => "MRC0008",
            Code::BadTag => "MRC0009",
            Code::DuplicateKey => "MRC0010",
            Code::NotARuntimeConfiguration => "MRC0011",
            Code::DuplicateTenant => "MRC0012",
            Code::ConflictingSources => "MRC0013",
            Code::SecondDocument => "MRC0014",
            Code::UnreadKey => "MRC0015",
            Code::UnknownField => "MRC0020",
            Code::UnknownSection => "MRC0021",
            Code::UnknownToThisVersion => "MRC0022",
            Code::EdgeSetting => "MRC0023",
            Code::FieldNamedTwice => "MRC0024",
            Code::WrongType => "MRC0030",
            Code::BadValue => "MRC0031",
            Code::BrokenRule => "MRC0032",
            Code::BadExpression => "MRC0033",
            Code::UnmatchedTenant => "MRC0040",
            Code::NoTenants => "MRC0041",
            Code::LeftToMimir => "MRC0042",
            Code::NoDefaultLimits => "MRC0043",
            Code::DiffersFromMimir => "MRC0050",
            Code::MoreProblems => "MRC0099",
            Code::Other => "MRC0100",
        }
    }

    /// What it is in words joined by hyphens, such as `duplicate-tenant`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Code::UnreadableSource => "unreadable-source",
            Code::TooLarge => "too-large",
            Code::BadCharacters => "bad-characters",
            Code::BadGzip => "bad-gzip",
            Code::BadSyntax => "bad-syntax",
            Code::BadAlias => "bad-alias",
            Code::BadMerge => "bad-merge",
            Code::BadKey => "bad-key",
            Code::BadTag => "bad-tag",
            Code::DuplicateKey => "duplicate-key",
            Code::NotARuntimeConfiguration => "not-a-runtime-configuration",
            Code::DuplicateTenant => "duplicate-tenant",
            Code::ConflictingSources => "conflicting-sources",
            Code::SecondDocument => "second-document",
            Code::UnreadKey => "unread-key",
            Code::UnknownField => "unknown-field",
            Code::UnknownSection => "unknown-section",
            Code::UnknownToThisVersion => "unknown-to-this-version",
            Code::EdgeSetting => "edge-setting",
            Code::FieldNamedTwice => "field-named-twice",
            Code::WrongType => "wrong-type",
            Code::BadValue => "bad-value",
            Code::BrokenRule => "broken-rule",
            Code::BadExpression => "bad-expression",
            Code::UnmatchedTenant => "unmatched-tenant",
            Code::NoTenants => "no-tenants",
            Code::LeftToMimir => "left-to-mimir",
            Code::NoDefaultLimits => "no-default-limits",
            Code::DiffersFromMimir => "differs-from-mimir",
            Code::MoreProblems => "more-problems",
            Code::Other => "other",
        }
    }

    /// The one with this [`Code::id`].
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
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
