//! Go's expressions (`regexp/syntax`, Perl flags) in the notation of the `regex` crate.
//!
//! The two languages give the same text different meanings: `\d`, `\s`, `\w` and `\b` are ASCII in Go, `[a[b]` and
//! `[a&&b]` are plain classes, `{` may stand for itself, `\<` is a character, `\Q..\E` quotes, and a repetition may follow
//! flags. No term of the translation depends on flags around it. Expressions that Go rejects are errors.

use super::escape::{self, Escaped};
use super::{MAX_DEPTH, PatternError, SyntaxError, class, go_error, size};

/// The most times that something may be repeated, repetitions in repetitions included.
const MAX_REPETITIONS: u32 = 1000;

/// An expression in the notation of the `regex` crate.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) expression: String,
    /// The named groups. The translation does not name them: Go allows one name twice, and names that
    /// begin with a digit.
    pub(super) names: Vec<(Box<str>, usize)>,
    /// The most bytes that it compiles to.
    pub(super) max_bytes: usize,
    /// See [`Pattern::branches`](super::Pattern::branches).
    pub(super) branches: usize,
}

/// Translates an expression.
pub(super) fn translate(expression: &str) -> Result<Translation, PatternError> {
    let mut translator = Translator::new(expression);
    translator.run()?;
    let max_bytes = translator.levels.iter().fold(0, |sum: usize, level| sum.saturating_add(level.bytes));
    let branches = translator.levels.iter().fold(0, |sum: usize, level| sum.saturating_add(level.branches));
    let branches = if translator.repeats { branches } else { 0 };
    Ok(Translation { expression: translator.out, names: translator.names, max_bytes, branches })
}

/// Where translation stopped at an error.
#[derive(Debug)]
pub(super) struct Context<'e> {
    /// The whole expression.
    pub(super) expression: &'e str,
    /// The rest of the expression, from the token at which the error was found.
    pub(super) token: &'e str,
    /// What is not read yet.
    pub(super) rest: &'e str,
    /// The rest of the expression from the repetition right before `token`, if there is one.
    pub(super) repetition: Option<&'e str>,
}

/// Whether Go accepts the expression; the error has Go's text.
pub(super) fn check(expression: &str) -> Result<(), SyntaxError> {
    let mut translator = Translator::new(expression);
    translator.run().map_err(|error| {
        let Translator { token, rest, repetition, .. } = translator;
        let go = go_error::render(error, &Context { expression, token, rest, repetition });
        SyntaxError { error, go }
    })
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    multi_line: bool,
    dot_takes_newline: bool,
    lazy: bool,
}

/// An open group, or the whole expression.
#[derive(Debug, Default)]
struct Level {
    /// Where its translation begins.
    start: usize,
    /// The flags around it.
    outer: Flags,
    /// What a repetition would repeat.
    last: Option<Term>,
    /// The most repetitions of anything in it.
    repetitions: u32,
    /// The most that it compiles to.
    bytes: usize,
    /// The number of its alternatives and repetitions. One within a repetition counts once for each time that it is repeated.
    branches: usize,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    start: usize,
    repetitions: u32,
    bytes: usize,
    branches: usize,
    /// Whether it ends in a repetition, so that another needs a group around it.
    is_repeated: bool,
}

#[derive(Debug, Default)]
struct Translator<'e> {
    /// The rest of the expression, from the current token.
    token: &'e str,
    /// What is not read yet.
    rest: &'e str,
    out: String,
    flags: Flags,
    levels: Vec<Level>,
    groups: usize,
    names: Vec<(Box<str>, usize)>,
    /// The rest of the expression from the last repetition, if the last token was one.
    repetition: Option<&'e str>,
    /// Whether there is any repetition.
    repeats: bool,
    /// Whether groups nest deeper than the edge supports. Translation goes on, since Mimir may reject what follows.
    is_too_deep: bool,
}

impl<'e> Translator<'e> {
    fn new(expression: &'e str) -> Self {
        Translator { rest: expression, levels: vec![Level::default()], ..Translator::default() }
    }

    fn run(&mut self) -> Result<(), PatternError> {
        self.token = self.rest;
        while let Some(character) = self.next() {
            self.repetition = self.translate(character)?.then_some(self.token);
            self.token = self.rest;
        }
        match () {
            () if self.levels.len() > 1 => Err(PatternError::MissingParen),
            () if self.is_too_deep => Err(PatternError::TooLarge),
            () => Ok(()),
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Whether what was read is a repetition.
    fn translate(&mut self, character: char) -> Result<bool, PatternError> {
        match character {
            '(' if self.skip("?") => self.special_group()?,
            '(' => {
                self.groups += 1;
                self.open("(", self.flags);
            }
            '|' => {
                self.out.push('|');
                self.level(|level| {
                    level.last = None;
                    level.bytes = level.bytes.saturating_add(size::OPERATOR);
                    level.branches = level.branches.saturating_add(1);
                });
            }
            ')' => self.close()?,
            '^' => self.term(if self.flags.multi_line { "(?m:^)" } else { r"\A" }),
            '$' => self.term(if self.flags.multi_line { "(?m:$)" } else { r"\z" }),
            '.' => self.term(if self.flags.dot_takes_newline { "(?s:.)" } else { r"[^\n]" }),
            '[' => {
                let (text, rest) = class::translate(self.rest)?;
                self.rest = rest;
                self.cased_term(&text);
            }
            '*' | '+' | '?' => return self.repeat(1, &character.to_string(), false).map(|()| true),
            '{' => {
                let Some((repetition, rest)) = Repetition::parse(self.rest) else {
                    self.literal('{');
                    return Ok(false);
                };
                self.rest = rest;
                let (max_count, text) = repetition.check()?;
                return self.repeat(max_count, &text, repetition.is_limited()).map(|()| true);
            }
            '\\' => self.backslash()?,
            character => self.literal(character),
        }
        Ok(false)
    }

    fn level(&mut self, change: impl FnOnce(&mut Level)) {
        // There always is one: `close` leaves the outermost.
        self.levels.last_mut().map(change);
    }

    fn term(&mut self, text: &str) {
        self.add(text, 1);
    }

    fn add(&mut self, text: &str, repetitions: u32) {
        let start = self.out.len();
        self.out.push_str(text);
        let bytes = size::of_term(text);
        self.finish(Term { start, repetitions, bytes, branches: 0, is_repeated: false });
    }

    fn finish(&mut self, term: Term) {
        self.level(|level| {
            level.bytes = level.bytes.saturating_add(term.bytes);
            level.branches = level.branches.saturating_add(term.branches);
            level.last = Some(term);
            level.repetitions = level.repetitions.max(term.repetitions);
        });
    }

    fn cased_term(&mut self, text: &str) {
        if self.flags.ignore_case {
            self.term(&format!("(?i:{text})"));
        } else {
            self.term(text);
        }
    }

    fn literal(&mut self, character: char) {
        let text = class::character(u32::from(character));
        self.cased_term(&text);
    }

    fn backslash(&mut self) -> Result<(), PatternError> {
        let (escaped, rest) = escape::read(self.rest)?;
        self.rest = rest;
        match escaped {
            Escaped::Assertion(text) => self.term(text),
            Escaped::Quoted(text) => text.chars().for_each(|character| self.literal(character)),
            Escaped::Class(items) => self.cased_term(&format!("[{items}]")),
            Escaped::Character(code) => {
                let text = class::character(code);
                self.cased_term(&text);
            }
        }
        Ok(())
    }

    fn open(&mut self, text: &str, outer: Flags) {
        self.is_too_deep |= self.levels.len() >= MAX_DEPTH;
        let (start, bytes) = (self.out.len(), size::OPERATOR);
        self.levels.push(Level { start, outer, last: None, repetitions: 1, bytes, branches: 0 });
        self.out.push_str(text);
    }

    fn close(&mut self) -> Result<(), PatternError> {
        if self.levels.len() < 2 {
            return Err(PatternError::UnexpectedParen);
        }
        let Some(Level { start, outer, repetitions, bytes, branches, .. }) = self.levels.pop() else { return Ok(()) };
        self.out.push(')');
        self.flags = outer;
        self.finish(Term { start, repetitions, bytes, branches, is_repeated: false });
        Ok(())
    }

    /// What follows `(?`.
    fn special_group(&mut self) -> Result<(), PatternError> {
        if self.skip("P<") || self.skip("<") {
            return self.named_group();
        }
        let outer = self.flags;
        let mut flags = outer;
        let (mut set, mut seen) = (true, false);
        loop {
            match self.next() {
                Some('i') => (flags.ignore_case, seen) = (set, true),
                Some('m') => (flags.multi_line, seen) = (set, true),
                Some('s') => (flags.dot_takes_newline, seen) = (set, true),
                Some('U') => (flags.lazy, seen) = (set, true),
                Some('-') if set => (set, seen) = (false, false),
                Some(':') if set || seen => {
                    self.flags = flags;
                    self.open("(?:", outer);
                    return Ok(());
                }
                Some(')') if set || seen => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(PatternError::InvalidPerlOp),
            }
        }
    }

    fn named_group(&mut self) -> Result<(), PatternError> {
        let (name, rest) = self.rest.split_once('>').ok_or(PatternError::InvalidPerlOp)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(PatternError::InvalidPerlOp);
        }
        self.rest = rest;
        self.groups += 1;
        self.names.push((name.into(), self.groups));
        self.open("(", self.flags);
        Ok(())
    }

    /// Repeats the last term; `max_count` is how many times at most, and `is_limited` whether that is bounded.
    fn repeat(&mut self, max_count: u32, text: &str, is_limited: bool) -> Result<(), PatternError> {
        let lazy = self.skip("?") != self.flags.lazy;
        let last = self.levels.last().and_then(|level| level.last);
        let Some(Term { start, repetitions, bytes, branches, is_repeated }) =
            last.filter(|_| self.repetition.is_none())
        else {
            return Err(PatternError::InvalidRepeatOp);
        };
        let repetitions = if max_count == 0 { 1 } else { repetitions.saturating_mul(max_count) };
        if is_limited && repetitions > MAX_REPETITIONS {
            return Err(PatternError::InvalidRepeatSize);
        }
        if is_repeated {
            self.out.insert_str(start, "(?:");
            self.out.push(')');
        }
        self.out.push_str(text);
        if lazy {
            self.out.push('?');
        }
        // `{2,}` is two and a repetition without end.
        let copies =
            if max_count == 0 { 1 } else { usize::try_from(max_count).unwrap_or(usize::MAX).saturating_add(1) };
        let repeated = bytes.saturating_add(size::OPERATOR).saturating_mul(copies);
        let times = usize::try_from(max_count.max(1)).unwrap_or(usize::MAX);
        self.level(|level| {
            level.bytes = level.bytes.saturating_sub(bytes);
            level.branches = level.branches.saturating_sub(branches);
        });
        self.repeats = true;
        let branches = branches.saturating_add(1).saturating_mul(times);
        self.finish(Term { start, repetitions, bytes: repeated, branches, is_repeated: true });
        Ok(())
    }
}

/// `{min}`, `{min,}` or `{min,max}`.
#[derive(Clone, Copy, Debug)]
struct Repetition {
    min: u32,
    max: Option<u32>,
}

impl Repetition {
    /// Reads what follows `{`, if it is a repetition.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let (inner, rest) = text.split_once('}')?;
        let (min, max) = match inner.split_once(',') {
            None => (inner, Some(inner)),
            Some((min, "")) => (min, None),
            Some((min, max)) => (min, Some(max)),
        };
        let max = match max {
            Some(max) => Some(number(max)?),
            None => None,
        };
        Some((Repetition { min: number(min)?, max }, rest))
    }

    /// How often it repeats at most, for the bound on nested repetitions, and its text.
    fn check(self) -> Result<(u32, String), PatternError> {
        let Repetition { min, max } = self;
        if min > MAX_REPETITIONS || max.is_some_and(|max| max > MAX_REPETITIONS || max < min) {
            return Err(PatternError::InvalidRepeatSize);
        }
        Ok(match max {
            // `{0}`: Go counts nothing inside of it.
            Some(max) => (max, format!("{{{min},{max}}}")),
            None => (min.max(1), format!("{{{min},}}")),
        })
    }

    /// Whether Go looks at the bound on nested repetitions.
    fn is_limited(self) -> bool {
        self.min >= 2 || self.max.is_some_and(|max| max >= 2)
    }
}

/// A number without leading zeros; one that is too large is larger than any bound.
fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = is_number && (digits == "0" || !digits.starts_with('0'));
    well_formed.then(|| digits.parse().unwrap_or(u32::MAX))
}
