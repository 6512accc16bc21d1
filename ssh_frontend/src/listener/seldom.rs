//! Log lines that strangers can cause at will: one now and then, with the number of those left out.

use std::time::{Duration, Instant};

/// Least time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Lines of one kind.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Instant>,
    left_out: Option<(u64, String)>,
}

impl Seldom {
    /// Takes a line; answers what is to be logged now.
    pub fn line(&mut self, now: Instant, line: String) -> Option<String> {
        let before = self.left_out.take().map_or(0, |(count, _)| count);
        self.left_out = Some((before + 1, line));
        self.flush(now)
    }

    /// Answers what was left out and is due now.
    pub fn flush(&mut self, now: Instant) -> Option<String> {
        if self.due().is_some_and(|due| now < due) {
            return None;
        }
        let (count, line) = self.left_out.take()?;
        self.last = Some(now);
        Some(match count {
            1 => line,
            count => format!("{line} (and {} like it)", count - 1),
        })
    }

    /// When [`Seldom::flush`] will have something to say.
    #[must_use]
    pub fn wakes(&self) -> Option<Instant> {
        self.left_out.as_ref().and_then(|_| self.due())
    }

    fn due(&self) -> Option<Instant> {
        self.last.and_then(|last| last.checked_add(PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_comes_at_once_and_the_others_together() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seldom = Seldom::default();
        assert_eq!(seldom.wakes(), None);
        assert_eq!(seldom.line(at(0), "a".into()).as_deref(), Some("a"));
        assert_eq!(seldom.wakes(), None);
        assert_eq!(seldom.line(at(1), "b".into()), None);
        assert_eq!(seldom.line(at(9), "c".into()), None);
        assert_eq!(seldom.wakes(), Some(at(10)));
        assert_eq!(seldom.flush(at(9)), None);
        assert_eq!(seldom.flush(at(10)).as_deref(), Some("c (and 1 like it)"));
        assert_eq!(seldom.flush(at(30)), None);
        assert_eq!(seldom.line(at(11), "d".into()), None);
        assert_eq!(seldom.flush(at(20)).as_deref(), Some("d"));
        assert_eq!(seldom.line(at(40), "e".into()).as_deref(), Some("e"));
    }
}
