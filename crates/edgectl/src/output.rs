//! Results on standard output: a table for people, or JSON or YAML for programs. Nothing is coloured.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

use crate::args::Output;
use crate::yaml;

/// What stands in a cell without a value.
pub(crate) const NONE: &str = "-";

/// Prints a result as the flag says; `table` gives the text for people.
pub(crate) fn print(output: Output, result: &impl Serialize, table: impl FnOnce() -> String) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let text = match output {
        Output::Table => table(),
        Output::Json => serde_json::to_string_pretty(result).context("write JSON")? + "\n",
        Output::Yaml => yaml::block(&serde_json::to_value(result).context("write YAML")?, 0),
    };
    out.write_all(text.as_bytes()).context("print the result")
}

/// Columns with two spaces between them, below their titles.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows; its titles are in capitals, as those of kubectl.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Columns without titles.
    pub(crate) fn untitled() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row. A cell without text becomes a dash.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |text: String| if text.is_empty() { NONE.to_owned() } else { on_one_line(&text) };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// The lines, each with a line break.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>();
            format!("{}\n", cells.join("  ").trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

/// A text whose line breaks and control characters cannot disturb a terminal.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A number with at most one decimal.
pub(crate) fn number(value: f64) -> String {
    // Adding 0 takes the sign from a rounded -0.
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded}")
}

/// `1 tenant`, `2 tenants`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&["TENANT", "MODE"]);
        table.row(["a".to_owned(), "enforce".to_owned()]);
        table.row(["longer-é-name".to_owned(), String::new()]);
        assert_eq!(table.text(), "TENANT         MODE\na              enforce\nlonger-é-name  -\n");
        assert_eq!(Table::untitled().text(), "");
    }

    #[test]
    fn a_cell_is_one_line() {
        let mut table = Table::untitled();
        table.row(["a\n\u{1b}[31mb".to_owned()]);
        assert_eq!(table.text(), "a  [31mb\n");
    }

    #[test]
    fn numbers_have_one_decimal_at_most() {
        for (value, expected) in [(2000.0, "2000"), (0.06, "0.1"), (99.96, "100"), (1.25, "1.3"), (-0.001, "0")] {
            assert_eq!(number(value), expected);
        }
    }
}
