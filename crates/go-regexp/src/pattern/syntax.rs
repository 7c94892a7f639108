//! Go's expressions (`regexp/syntax`, Perl flags) in the notation of the `regex` crate.
//!
//! What is written the same and means something else is why this exists: `\d`, `\s`, `\w` and `\b` are ASCII in Go, `[a[b]`
//! and `[a&&b]` are plain classes, `{` may stand for itself, `\<` is a character, `\Q..\E` quotes, flags may be followed by
//! a repetition of what was before them. The translation holds nothing that depends on flags: each piece carries its own.
//!
//! Refused are the expressions that Go refuses.

use super::escape::{self, Escaped};
use super::{MAX_DEPTH, PatternError, SyntaxError, class, weight, wording};

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
    pub(super) most_bytes: usize,
    /// See [`Pattern::branches`](super::Pattern::branches).
    pub(super) branches: usize,
}

/// Translates an expression.
pub(super) fn translate(expression: &str) -> Result<Translation, PatternError> {
    let mut translator = Translator::new(expression);
    translator.run()?;
    let most_bytes = translator.levels.iter().fold(0, |sum: usize, level| sum.saturating_add(level.bytes));
    let branches = translator.levels.iter().fold(0, |sum: usize, level| sum.saturating_add(level.branches));
    let branches = if translator.repeats { branches } else { 0 };
    Ok(Translation { expression: translator.out, names: translator.names, most_bytes, branches })
}

/// Where an expression was found wrong.
#[derive(Debug)]
pub(super) struct Place<'e> {
    /// The whole expression.
    pub(super) expression: &'e str,
    /// From what was being read on.
    pub(super) token: &'e str,
    /// What was not read yet.
    pub(super) rest: &'e str,
    /// From the repetition right before `token` on, if there is one.
    pub(super) repetition: Option<&'e str>,
}

/// Says whether Go takes the expression, and what Go says if not.
pub(super) fn check(expression: &str) -> Result<(), SyntaxError> {
    let mut translator = Translator::new(expression);
    translator.run().map_err(|error| {
        let Translator { token, rest, repetition, .. } = translator;
        let go = wording::of(error, &Place { expression, token, rest, repetition });
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

/// A group that is open, or the whole.
#[derive(Debug, Default)]
struct Level {
    /// Where its translation begins.
    start: usize,
    /// The flags around it.
    outer: Flags,
    /// What a repetition would repeat.
    last: Option<Piece>,
    /// The most repetitions of anything in it.
    repetitions: u32,
    /// The most that it compiles to.
    bytes: usize,
    /// Its alternatives and repetitions, those that are repeated as often as they are.
    branches: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: usize,
    repetitions: u32,
    bytes: usize,
    branches: usize,
    /// Whether it ends in a repetition, so that another needs a group around it.
    is_repeated: bool,
}

#[derive(Debug, Default)]
struct Translator<'e> {
    /// From what is being read on.
    token: &'e str,
    /// What is not read yet.
    rest: &'e str,
    out: String,
    flags: Flags,
    levels: Vec<Level>,
    groups: usize,
    names: Vec<(Box<str>, usize)>,
    /// The repetition that was read last, and what follows it.
    repetition: Option<&'e str>,
    /// Whether there is any repetition.
    repeats: bool,
    /// Whether groups nest deeper than the edge holds. What follows is read all the same: Mimir may refuse it.
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
            () if self.levels.len() > 1 => Err(PatternError::MissingParenthesis),
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
                    level.bytes = level.bytes.saturating_add(weight::OPERATOR);
                    level.branches = level.branches.saturating_add(1);
                });
            }
            ')' => self.close()?,
            '^' => self.piece(if self.flags.multi_line { "(?m:^)" } else { r"\A" }),
            '$' => self.piece(if self.flags.multi_line { "(?m:$)" } else { r"\z" }),
            '.' => self.piece(if self.flags.dot_takes_newline { "(?s:.)" } else { r"[^\n]" }),
            '[' => {
                let (text, rest) = class::translate(self.rest)?;
                self.rest = rest;
                self.cased_piece(&text);
            }
            '*' | '+' | '?' => return self.repeat(1, &character.to_string(), false).map(|()| true),
            '{' => {
                let Some((repetition, rest)) = Repetition::parse(self.rest) else {
                    self.literal('{');
                    return Ok(false);
                };
                self.rest = rest;
                let (weight, text) = repetition.check()?;
                return self.repeat(weight, &text, repetition.counts()).map(|()| true);
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

    fn piece(&mut self, text: &str) {
        self.add(text, 1);
    }

    fn add(&mut self, text: &str, repetitions: u32) {
        let start = self.out.len();
        self.out.push_str(text);
        let bytes = weight::of_piece(text);
        self.finish(Piece { start, repetitions, bytes, branches: 0, is_repeated: false });
    }

    fn finish(&mut self, piece: Piece) {
        self.level(|level| {
            level.bytes = level.bytes.saturating_add(piece.bytes);
            level.branches = level.branches.saturating_add(piece.branches);
            level.last = Some(piece);
            level.repetitions = level.repetitions.max(piece.repetitions);
        });
    }

    fn cased_piece(&mut self, text: &str) {
        if self.flags.ignore_case {
            self.piece(&format!("(?i:{text})"));
        } else {
            self.piece(text);
        }
    }

    fn literal(&mut self, character: char) {
        let text = class::character(u32::from(character));
        self.cased_piece(&text);
    }

    fn backslash(&mut self) -> Result<(), PatternError> {
        let (escaped, rest) = escape::read(self.rest)?;
        self.rest = rest;
        match escaped {
            Escaped::Place(text) => self.piece(text),
            Escaped::Quoted(text) => text.chars().for_each(|character| self.literal(character)),
            Escaped::Class(items) => self.cased_piece(&format!("[{items}]")),
            Escaped::Character(code) => {
                let text = class::character(code);
                self.cased_piece(&text);
            }
        }
        Ok(())
    }

    fn open(&mut self, text: &str, outer: Flags) {
        self.is_too_deep |= self.levels.len() >= MAX_DEPTH;
        let (start, bytes) = (self.out.len(), weight::OPERATOR);
        self.levels.push(Level { start, outer, last: None, repetitions: 1, bytes, branches: 0 });
        self.out.push_str(text);
    }

    fn close(&mut self) -> Result<(), PatternError> {
        if self.levels.len() < 2 {
            return Err(PatternError::UnexpectedParenthesis);
        }
        let Some(Level { start, outer, repetitions, bytes, branches, .. }) = self.levels.pop() else { return Ok(()) };
        self.out.push(')');
        self.flags = outer;
        self.finish(Piece { start, repetitions, bytes, branches, is_repeated: false });
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
                _ => return Err(PatternError::Group),
            }
        }
    }

    fn named_group(&mut self) -> Result<(), PatternError> {
        let (name, rest) = self.rest.split_once('>').ok_or(PatternError::Group)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(PatternError::Group);
        }
        self.rest = rest;
        self.groups += 1;
        self.names.push((name.into(), self.groups));
        self.open("(", self.flags);
        Ok(())
    }

    /// Repeats the last piece; `weight` is how many times at most, and `counts` whether that is bounded.
    fn repeat(&mut self, weight: u32, text: &str, counts: bool) -> Result<(), PatternError> {
        let lazy = self.skip("?") != self.flags.lazy;
        let last = self.levels.last().and_then(|level| level.last);
        let Some(Piece { start, repetitions, bytes, branches, is_repeated }) =
            last.filter(|_| self.repetition.is_none())
        else {
            return Err(PatternError::Repetition);
        };
        let repetitions = if weight == 0 { 1 } else { repetitions.saturating_mul(weight) };
        if counts && repetitions > MAX_REPETITIONS {
            return Err(PatternError::RepetitionSize);
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
        let copies = if weight == 0 { 1 } else { usize::try_from(weight).unwrap_or(usize::MAX).saturating_add(1) };
        let repeated = bytes.saturating_add(weight::OPERATOR).saturating_mul(copies);
        let times = usize::try_from(weight.max(1)).unwrap_or(usize::MAX);
        self.level(|level| {
            level.bytes = level.bytes.saturating_sub(bytes);
            level.branches = level.branches.saturating_sub(branches);
        });
        self.repeats = true;
        let branches = branches.saturating_add(1).saturating_mul(times);
        self.finish(Piece { start, repetitions, bytes: repeated, branches, is_repeated: true });
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
            return Err(PatternError::RepetitionSize);
        }
        Ok(match max {
            // Nothing in it counts, not even what it repeats.
            Some(max) => (max, format!("{{{min},{max}}}")),
            None => (min.max(1), format!("{{{min},}}")),
        })
    }

    /// Whether Go looks at the bound on nested repetitions.
    fn counts(self) -> bool {
        self.min >= 2 || self.max.is_some_and(|max| max >= 2)
    }
}

/// A number without leading zeros; one that is too large is larger than any bound.
fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = is_number && (digits == "0" || !digits.starts_with('0'));
    well_formed.then(|| digits.parse().unwrap_or(u32::MAX))
}
