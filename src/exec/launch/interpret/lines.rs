//! Tools that print some of the lines they read, or parts of them.

use super::Interpreter;
use super::state::State;
use super::text;

impl Interpreter<'_, '_, '_> {
    /// `cut -d' ' -f2 FILE`: one field of each line.
    pub(super) fn cut(&mut self, state: &State, words: &[String]) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::ends;

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
