//! `getopts`. Source: POSIX XCU, getopts; dash(1).

use super::state::{ExitStatus, ShellState};
use super::text::{self, HOLE, MANY, Truth};

/// Runs `getopts OPTIONS NAME [WORD...]`.
pub(super) fn getopts(state: &mut ShellState, words: &[String]) {
    let [options, name, own @ ..] = words else {
        state.status = ExitStatus::from_truth(Truth::Maybe);
        return;
    };
    let args = if own.is_empty() { state.args.to_vec() } else { own.to_vec() };
    let Some(found) = next_option(state, options, &args) else {
        state.set_text(name, HOLE);
        state.set_text("OPTARG", HOLE);
        state.set_text("OPTIND", HOLE);
        state.status = ExitStatus::from_truth(Truth::Maybe);
        return;
    };
    state.set_text("OPTIND", found.index.to_string());
    state.option_offset = Some(found.offset);
    state.set_text(name, found.letter.unwrap_or('?').to_string());
    match found.value {
        Some(value) => state.set_text("OPTARG", value),
        None => state.unset("OPTARG"),
    }
    state.status = ExitStatus::from_truth(Truth::from_bool(!found.is_end));
}

struct NextOption {
    letter: Option<char>,
    value: Option<String>,
    /// The values of OPTIND and of [`ShellState::option_offset`].
    index: usize,
    offset: usize,
    is_end: bool,
}

/// `None` if the arguments are not known.
fn next_option(state: &ShellState, options: &str, args: &[String]) -> Option<NextOption> {
    let index = match state.var("OPTIND").and_then(|var| var.value.as_ref()) {
        Some(super::ShellValue::Text(text)) => text::plain(text).parse::<usize>().ok().filter(|index| *index > 0)?,
        Some(super::ShellValue::List(_) | super::ShellValue::Map(_)) => return None,
        None => 1,
    };
    let offset = state.option_offset?;
    let is_certain = |word: &&String| text::is_known(word) && !text::is_soft(word) && !word.starts_with(MANY);
    let end = |index| NextOption { letter: None, value: None, index, offset: 1, is_end: true };
    let Some(word) = args.get(index - 1) else { return Some(end(index)) };
    let word: Vec<char> = Some(word).filter(is_certain)?.chars().collect();
    match word.as_slice() {
        ['-', '-'] => return Some(end(index + 1)),
        ['-', _, ..] => {}
        _ => return Some(end(index)),
    }
    // A script may have reset OPTIND.
    let offset = if offset < word.len() { offset } else { 1 };
    let letter = word[offset];
    let is_last = offset + 1 == word.len();
    let (next, after) = if is_last { (index + 1, 1) } else { (index, offset + 1) };
    let specified = options.char_indices().find(|(at, c)| *c == letter && letter != ':' && !(*at == 0 && *c == ':'));
    let Some((at, _)) = specified else {
        let value = options.starts_with(':').then(|| letter.to_string());
        return Some(NextOption { letter: None, value, index: next, offset: after, is_end: false });
    };
    if !options[at + letter.len_utf8()..].starts_with(':') {
        return Some(NextOption { letter: Some(letter), value: None, index: next, offset: after, is_end: false });
    }
    let attached: String = word[offset + 1..].iter().collect();
    let found = |letter, value, index| Some(NextOption { letter, value, index, offset: 1, is_end: false });
    match args.get(index) {
        _ if !attached.is_empty() => found(Some(letter), Some(attached), index + 1),
        Some(value) => found(Some(letter), Some(value.clone()), index + 2),
        None if options.starts_with(':') => found(Some(':'), Some(letter.to_string()), index + 1),
        None => found(None, None, index + 1),
    }
}
