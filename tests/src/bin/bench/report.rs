//! The table of goals: every comparison of a run, what it should come to, and whether it does.
//!
//! Printed as Markdown, and left in cargo's target directory as Markdown and JSON for whoever compares runs.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::built::target_directory;

/// What a ratio, ours divided by the peer's, should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Between this and its reciprocal: the two cost the same.
    Within(f64),
    /// Ours, whatever the peer's is.
    Exactly(f64),
    /// Shown for what it is.
    Shown,
}

impl Goal {
    fn is_met(self, ours: f64, theirs: f64) -> Option<bool> {
        let ratio = ours / theirs;
        match self {
            Self::Exactly(right) => Some(ours == right),
            Self::AtMost(most) => Some(ratio <= most),
            Self::AtLeast(least) => Some(ratio >= least),
            Self::Within(factor) => Some((1.0 / factor..=factor).contains(&ratio)),
            Self::Shown => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most:.2}"),
            Self::AtLeast(least) => write!(f, "at least {least:.2}"),
            Self::Within(factor) => write!(f, "{:.2} to {factor:.2}", 1.0 / factor),
            Self::Exactly(right) => write!(f, "{right} logins"),
            Self::Shown => Ok(()),
        }
    }
}

/// One comparison.
pub struct Row {
    /// What was done.
    pub work: String,
    /// What is counted, such as `us`.
    pub unit: &'static str,
    /// Of the product.
    pub ours: f64,
    /// Whose figure it stands beside.
    pub peer: &'static str,
    /// That figure.
    pub theirs: f64,
    /// What their ratio should be.
    pub goal: Goal,
    /// What no program can get below here and now: its name and figure.
    pub floor: Option<(&'static str, f64)>,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    fn is_met(&self) -> Option<bool> {
        self.goal.is_met(self.ours, self.theirs)
    }

    fn markdown(&self) -> String {
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let floor = self.floor.map_or(String::new(), |(name, figure)| {
            format!("{} ({name})", short(figure))
        });
        format!(
            "| {} ({}) | {} | {} {} | {} | {} | {met} | {floor} |",
            self.work,
            self.unit,
            short(self.ours),
            self.peer,
            short(self.theirs),
            ratio(self.ratio()),
            self.goal,
        )
    }

    fn json(&self) -> Value {
        json!({
            "work": self.work,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "theirs": self.theirs,
            "ratio": self.ratio(),
            "goal": self.goal.to_string(),
            "met": self.is_met(),
            "floor": self.floor.map(|(name, figure)| json!({"what": name, "figure": figure})),
        })
    }
}

/// Two decimals, more where they would be zeros.
fn ratio(ratio: f64) -> String {
    let digits = if ratio < 0.01 { 4 } else { 2 };
    format!("{ratio:.digits$}")
}

/// Three significant digits, more where the number has them before its point.
fn short(figure: f64) -> String {
    let digits = if figure >= 100.0 {
        0
    } else if figure >= 10.0 {
        1
    } else {
        2
    };
    format!("{figure:.digits$}")
}

/// Prints the table, and writes it to `bench/results.md` and `results.json`.
pub fn publish(rows: &[Row]) {
    let mut table = String::from(
        "| work | otpgate | beside it | ratio | goal | met | floor |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        writeln!(table, "{}", row.markdown()).unwrap();
    }
    println!("\n{table}");
    let all: Vec<Value> = rows.iter().map(Row::json).collect();
    fs::write(directory().join("results.md"), &table).unwrap();
    fs::write(
        directory().join("results.json"),
        serde_json::to_vec_pretty(&all).unwrap(),
    )
    .unwrap();
    println!(
        "The same as results.md and results.json, and plots, in {}",
        directory().display()
    );
}

/// Where results and plots go.
pub fn directory() -> PathBuf {
    let directory = target_directory().join("bench");
    fs::create_dir_all(&directory).unwrap();
    directory
}
