//! Tools that print some of the lines they read, or parts of them.

use super::filters::TextFilter;
use super::state::ShellState;
use super::text::{self, SOFT, Truth};
use super::{EXPRESSION_STEPS, STEP_COMPARISONS, ScriptInterpreter};

impl ScriptInterpreter<'_, '_, '_> {
    /// Returns the lines of the files among `operands`, or of stdin. `None` if they are not known.
    fn lines_of(&mut self, state: &ShellState, operands: &[&String]) -> Option<Vec<String>> {
        if operands.is_empty() {
            return state.input.as_deref().cloned();
        }
        let mut all = Vec::new();
        for file in operands.iter().filter(|file| ***file != "-") {
            // A text beyond the budget is not known either.
            let text = self.file_text(state, file).filter(|text| text::is_known(text))?;
            all.extend(text.lines().map(str::to_string));
        }
        Some(all)
    }

    /// The output of a tool that changes or selects lines, and whether it found any. `None` if not known.
    pub(super) fn filtered(&mut self, state: &ShellState, name: &str, words: &[String]) -> Option<(String, Truth)> {
        let filter = TextFilter::parse(name, words)?;
        let input = self.lines_of(state, &filter.files)?;
        if !self.spend(EXPRESSION_STEPS * filter.expressions().max(1)) {
            return None;
        }
        let is_soft = input.iter().any(|line| text::is_soft(line));
        let input: Vec<String> = input.iter().map(|line| text::plain(line)).collect();
        let mut work = self.work();
        let result = filter.run(&input, &mut work);
        self.spend(work.done() / STEP_COMPARISONS);
        let (output, truth) = result?;
        // A file may be mounted over.
        let truth = if filter.files.is_empty() && !is_soft { truth } else { truth.soften() };
        let soft = if is_soft && !output.is_empty() { SOFT.to_string() } else { String::new() };
        Some((self.bounded(format!("{soft}{output}")), truth))
    }

    /// `cut -d' ' -f2 FILE`: one field of each line.
    pub(super) fn cut(&mut self, state: &ShellState, words: &[String]) -> Option<String> {
        let (mut delimiter, mut field, mut files) = ("\t".to_string(), None, Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = |option: &str| match word.strip_prefix(option) {
                Some("") => words.next().cloned(),
                rest => rest.map(str::to_string),
            };
            if let Some(own) = value("-d") {
                delimiter = own;
            } else if let Some(own) = value("-f") {
                field = Some(own.parse::<usize>().ok().filter(|field| *field > 0)?);
            } else if word.starts_with('-') {
                return None;
            } else {
                files.push(word);
            }
        }
        let text = match files.as_slice() {
            [] => state.input.as_ref()?.iter().map(|line| format!("{line}\n")).collect::<String>(),
            [file] => self.file_text(state, file)?,
            _ => return None,
        };
        if !text::is_known(&text) || !text::is_known(&delimiter) {
            return None;
        }
        let cut = |line: &str| {
            let mut fields = line.split(delimiter.as_str());
            // A line without the delimiter is printed unchanged.
            let own = if line.contains(&delimiter) { fields.nth(field? - 1).unwrap_or_default() } else { line };
            Some(format!("{own}\n"))
        };
        text.lines().map(cut).collect()
    }
}

/// Returns the output of `head` or `tail`: `-1`, `-n 1`, `-n1`, `--lines=1`, or ten lines by default. `None` if not
/// known.
pub(super) fn ends(input: Option<&[String]>, is_head: bool, words: &[String]) -> Option<String> {
    let input = input.filter(|_| !words.iter().any(|word| word.contains('+')))?;
    let count = match words {
        [] => 10,
        [option, count] if option == "-n" => count.parse().ok()?,
        [option] => {
            let number = option.strip_prefix("--lines=").or_else(|| option.strip_prefix("-n"));
            number.or_else(|| option.strip_prefix('-'))?.parse().ok()?
        }
        _ => return None,
    };
    let count = input.len().min(count);
    let kept = if is_head { &input[..count] } else { &input[input.len() - count..] };
    Some(kept.iter().map(|line| format!("{line}\n")).collect())
}

/// Returns the output of `sort`. `None` if an option is not supported.
pub(super) fn sorted(lines: &[String], words: &[String]) -> Option<String> {
    let letters: Vec<char> = words.iter().flat_map(|word| word.trim_start_matches('-').chars()).collect();
    if !letters.iter().all(|letter| matches!(letter, 'V' | 'r' | 'u' | 'n')) {
        return None;
    }
    let mut lines = lines.to_vec();
    match (letters.contains(&'V'), letters.contains(&'n')) {
        (true, _) => lines.sort_by_cached_key(|line| version_key(line)),
        (false, true) => {
            let numbers: Option<Vec<i64>> = lines.iter().map(|line| line.trim().parse().ok()).collect();
            numbers?;
            lines.sort_by_key(|line| line.trim().parse::<i64>().unwrap_or_default());
        }
        (false, false) => lines.sort(),
    }
    if letters.contains(&'u') {
        lines.dedup();
    }
    if letters.contains(&'r') {
        lines.reverse();
    }
    Some(lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Runs of digits count as numbers. Source: GNU sort's `--version-sort`.
pub(super) fn version_key(text: &str) -> Vec<(String, u64)> {
    let mut key: Vec<(String, u64)> = vec![(String::new(), 0)];
    let mut was_digit = false;
    for c in text.chars() {
        match c.to_digit(10) {
            Some(digit) => {
                let number = &mut key.last_mut().expect("it starts with one").1;
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            None if was_digit => key.push((c.to_string(), 0)),
            None => key.last_mut().expect("it starts with one").0.push(c),
        }
        was_digit = c.is_ascii_digit();
    }
    key
}

/// Splits a line as `read` does for so many variables. The last one receives the rest. Source: POSIX XCU 2.6.5, read.
pub(super) fn words_of_line(line: &str, separators: &str, count: usize) -> Vec<String> {
    let is_blank = |c: char| c.is_whitespace() && separators.contains(c);
    let mut rest = line.trim_matches(is_blank);
    let mut words = Vec::new();
    while !rest.is_empty() {
        let end = if words.len() + 1 == count { None } else { rest.find(|c| separators.contains(c)) };
        let Some(end) = end else {
            words.push(rest.to_string());
            break;
        };
        words.push(rest[..end].to_string());
        let after = rest[end..].trim_start_matches(is_blank);
        // One separator that is not a blank belongs to the blanks around it.
        let mut chars = after.chars();
        rest = match chars.next().filter(|c| separators.contains(*c)) {
            Some(_) => chars.as_str().trim_start_matches(is_blank),
            None => after,
        };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{ends, sorted};

    #[test]
    fn sort_compares_texts_versions_or_numbers() {
        let lines = ["a-10.1", "a-9.2", "a-9.10"].map(str::to_string);
        let run = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            sorted(&lines, &words)
        };
        assert_eq!(run(&[]).as_deref(), Some("a-10.1\na-9.10\na-9.2\n"));
        assert_eq!(run(&["-V"]).as_deref(), Some("a-9.2\na-9.10\na-10.1\n"));
        assert_eq!(run(&["-rV"]).as_deref(), Some("a-10.1\na-9.10\na-9.2\n"));
        assert_eq!((run(&["-n"]), run(&["-k2"])), (None, None));
    }

    #[test]
    fn head_and_tail_print_as_many_lines_as_they_are_told() {
        let input = ["a", "b", "c"].map(str::to_string);
        let run = |is_head, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            ends(Some(&input), is_head, &words)
        };
        for words in [&["-1"][..], &["-n1"], &["-n", "1"], &["--lines=1"]] {
            assert_eq!(
                (run(true, words).as_deref(), run(false, words).as_deref()),
                (Some("a\n"), Some("c\n")),
                "{words:?}"
            );
        }
        assert_eq!(run(true, &[]).as_deref(), Some("a\nb\nc\n"));
        assert_eq!((run(false, &["-n", "+2"]), run(true, &["-c", "1"]), ends(None, true, &[])), (None, None, None));
    }
}
