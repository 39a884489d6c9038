//! Writes the report for people: the verdict first, then the evidence, then the fix. Readable in 40 columns and without
//! colour.

mod causes;
mod lint;

use std::io::{self, Write};

pub use lint::{render, write_lint};
use unicode_width::UnicodeWidthStr;

use crate::exec::messages::Shown;
use crate::judge::code::Severity;
use crate::report::diagnostic::{Diagnostic, FactKind, PlatformRow, Subject};
use crate::report::escape::{plural, visible};
use crate::report::terminal::{Cell, Color, Screen, fill, grid, natural_width, severity_color};
use crate::report::view::{self, FindingGroup, SHOWN_PATHS};
use crate::report::{ReportStyle, from_scan};
use crate::scan::{PlatformReport, Report, Verdict};

pub fn write(report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    let subjects: Vec<Subject<'_>> = report.images.iter().map(|image| from_scan::subject(image, style)).collect();
    if causes::are_many(&subjects, style) {
        causes::write(&subjects, headline, style, out)?;
        return write_summary(report, style, out);
    }
    for subject in &subjects {
        write_image(subject, style, out)?;
    }
    if subjects.len() > 1 {
        write_closing_list(&subjects, style.screen(), out)?;
    }
    write_summary(report, style, out)
}

fn write_image(subject: &Subject<'_>, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    let screen = style.screen();
    let digest = subject.digest.map_or_else(String::new, |digest| format!(" ({})", digest.short()));
    let lead = format!("{}  ", headline(subject.verdict, screen));
    writeln!(out, "{}", fill(&lead, &format!("{}{digest}", visible(&subject.name)), 6, style.width))?;
    if !subject.origin.is_empty() {
        writeln!(out, "{}", fill("      ", &format!("read from {}", visible(&subject.origin)), 6, style.width))?;
    }
    for line in &subject.notes {
        writeln!(out, "{}", fill("      ", &visible(line), 6, style.width))?;
    }
    writeln!(out)?;
    if !subject.matrix.is_empty() {
        write_matrix(&subject.matrix, screen, out)?;
        writeln!(out)?;
    }
    let several = subject.platforms.len() > 1;
    for unread in subject.diagnostics.iter().filter(|one| one.rule.is_unread()) {
        write_unread(unread, several, screen, out)?;
    }
    for group in view::groups(subject) {
        write_group(&group, several, style, out)?;
    }
    write_accepted(subject, screen, out)?;
    if style.explain {
        for platform in subject.platforms {
            write_chain(platform, screen, out)?;
        }
    }
    Ok(())
}

/// Returns the headline for a verdict, four columns wide.
fn headline(verdict: Verdict, screen: Screen) -> String {
    match verdict {
        Verdict::Fine => screen.paint("OK  ", Color::Green),
        Verdict::Warned => screen.paint("WARN", Color::Yellow),
        Verdict::Unknown => screen.paint("????", Color::Yellow),
        Verdict::Broken => screen.paint("FAIL", Color::Red),
    }
}

/// A column of the matrix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Image,
    Platform,
    Target,
    Says,
    Is,
    Programs,
    Starts,
    Verdict,
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Column::Image => "image",
            Column::Platform => "platform",
            Column::Target => "on",
            Column::Says => "says",
            Column::Is => "is",
            Column::Programs => "programs",
            Column::Starts => "starts",
            Column::Verdict => "verdict",
        }
    }

    fn cell(self, row: &PlatformRow) -> Cell {
        match self {
            Column::Image => Cell::new(row.image.clone().unwrap_or_else(|| "-".to_string())),
            Column::Platform => Cell::new(row.platform_name.clone()),
            Column::Target => Cell::new(row.target.clone()),
            Column::Says => Cell::new(row.says.clone()),
            Column::Is => Cell::new(row.is.clone()),
            Column::Programs => Cell::number(row.programs),
            Column::Starts => Cell::new(row.starts.clone()),
            Column::Verdict => Cell::new(row.verdict.clone()).color(verdict_color(row)),
        }
    }
}

fn verdict_color(row: &PlatformRow) -> Color {
    if row.is_good { Color::Green } else { Color::Red }
}

/// Returns the columns that the rows need: `image` and `on` only if they differ from the platform.
fn columns(rows: &[PlatformRow]) -> Vec<Column> {
    let all = [
        (Column::Image, rows.iter().any(|row| row.image.is_some())),
        (Column::Platform, true),
        (Column::Target, rows.iter().any(|row| row.target != row.platform_name)),
        (Column::Says, true),
        (Column::Is, true),
        (Column::Programs, true),
        (Column::Starts, true),
        (Column::Verdict, true),
    ];
    all.into_iter().filter(|(_, is_needed)| *is_needed).map(|(column, _)| column).collect()
}

/// Writes a table if it fits the screen, else a table with the started programs below it, else a block for each row.
fn write_matrix(rows: &[PlatformRow], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let columns = columns(rows);
    let table = |columns: &[Column]| {
        let head = columns.iter().map(|column| Cell {
            is_number: *column == Column::Programs,
            ..Cell::new(column.head()).color(Color::Dim)
        });
        let body = rows.iter().map(|row| columns.iter().map(|column| column.cell(row)).collect());
        [head.collect()].into_iter().chain(body).collect::<Vec<Vec<Cell>>>()
    };
    if screen.is_narrow() {
        return rows.iter().enumerate().try_for_each(|(index, row)| write_block(index, row, &columns, screen, out));
    }
    let whole = table(&columns);
    let short: Vec<Column> = columns.iter().copied().filter(|column| *column != Column::Starts).collect();
    let lines = match natural_width(&whole) <= screen.width {
        true => grid(&whole, screen).map(|lines| (lines, false)),
        false => grid(&table(&short), screen).map(|lines| (lines, true)),
    };
    let Some((lines, starts_below)) = lines else {
        return rows.iter().enumerate().try_for_each(|(index, row)| write_block(index, row, &columns, screen, out));
    };
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if !starts_below {
        return Ok(());
    }
    writeln!(out)?;
    if rows.iter().all(|row| row.starts == rows[0].starts) {
        return screen.pair("starts", &rows[0].starts, STARTS_WIDTH, out);
    }
    let mut named: Vec<(&str, &str)> = rows.iter().map(|row| (row.platform.as_str(), row.starts.as_str())).collect();
    named.dedup();
    named.iter().try_for_each(|(platform, starts)| {
        screen.pair("starts", &format!("{starts}   ({platform})"), STARTS_WIDTH, out)
    })
}

/// Width of the name before a started program, in columns.
const STARTS_WIDTH: usize = 8;

/// Writes one platform on one target, for a screen without room for a table.
fn write_block(
    index: usize,
    row: &PlatformRow,
    columns: &[Column],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    if index > 0 {
        writeln!(out)?;
    }
    let target = if columns.contains(&Column::Target) { format!(" on {}", row.target) } else { String::new() };
    let verdict = screen.paint(&row.verdict, verdict_color(row));
    writeln!(out, "{}", fill(&format!("  {}{target}: ", row.platform), &verdict, 4, screen.width))?;
    for column in columns {
        match column {
            Column::Image | Column::Platform | Column::Target | Column::Verdict => {}
            Column::Says | Column::Is | Column::Programs | Column::Starts => {
                let lead = format!("    {:9} ", column.head());
                writeln!(out, "{}", fill(&lead, &column.cell(row).text, 6, screen.width))?;
            }
        }
    }
    Ok(())
}

/// Width of the names before values, in columns.
const NAME_WIDTH: usize = 18;

fn write_group(
    group: &FindingGroup<'_, '_>,
    several: bool,
    style: &ReportStyle<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (first, screen) = (group.first(), style.screen());
    let message = group.message();
    let needs_name =
        |platform: &&PlatformReport| several && !(platform.image.is_none() && message.contains(&platform.name()));
    let platform = first.platform.filter(needs_name);
    let platform = platform.map_or_else(String::new, |platform| format!("{}: ", visible(&platform.label())));
    let head =
        screen.paint(&format!("{}[{}]", first.severity.word(), first.rule.name()), severity_color(first.severity));
    writeln!(out, "{}", fill(&format!("{head}: "), &format!("{platform}{}", visible(message)), 2, style.width))?;
    let is_of_path = write_files(group, style, out)?;
    for fact in group.facts().filter(|fact| !(is_of_path && fact.kind == FactKind::Is)) {
        let text = visible(&fact.text);
        let text = if style.all { text } else { shortened(&text) };
        screen.pair(fact.kind.label(), &text, NAME_WIDTH, out)?;
    }
    screen.hint(&first.hint.iter().map(|line| visible(line)).collect::<Vec<_>>(), out)?;
    writeln!(out)
}

/// Writes the files of a group, each with its differences. Returns true if it wrote a single file with its description.
fn write_files(group: &FindingGroup<'_, '_>, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<bool> {
    let screen = style.screen();
    if let ([member], Some(path)) = (group.members.as_slice(), group.first().path()) {
        let path = visible(path);
        return match member.facts.iter().find(|fact| fact.kind == FactKind::Is) {
            Some(is) => screen.pair(&path, &visible(&is.text), NAME_WIDTH, out).map(|()| true),
            None => screen.pair("at", &path, NAME_WIDTH, out).map(|()| false),
        };
    }
    let mut name = plural(group.members.len(), "file");
    let shown = if style.all { usize::MAX } else { SHOWN_PATHS };
    for member in group.members.iter().take(shown) {
        let Some(path) = member.path() else { continue };
        let difference = group.difference(member);
        let difference = if difference.is_empty() { difference } else { format!("   {difference}") };
        screen.pair(&name, &format!("{}{}", visible(path), shortened(&visible(&difference))), NAME_WIDTH, out)?;
        name.clear();
    }
    if let Some(rest) = group.members.len().checked_sub(shown).filter(|rest| *rest > 0) {
        screen.pair("", &format!("{rest} more (--all)"), NAME_WIDTH, out)?;
    }
    Ok(false)
}

/// The maximum number of characters of a value, such as a build step that installs a hundred packages. `--all` shows
/// all.
const VALUE_CHARS: usize = 400;

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_string(),
    }
}

fn write_unread(unread: &Diagnostic<'_>, several: bool, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let platform = unread.platform.filter(|_| several);
    let platform = platform.map_or_else(String::new, |platform| format!("{}: ", visible(&platform.label())));
    let lead = format!("{}: ", screen.paint("could not tell", Color::Yellow));
    writeln!(out, "{}", fill(&lead, &format!("{platform}{}", visible(unread.message)), 2, screen.width))?;
    screen.hint(&unread.hint.iter().map(|line| visible(line)).collect::<Vec<_>>(), out)?;
    writeln!(out)
}

fn write_accepted(subject: &Subject<'_>, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let accepted: Vec<_> = subject.diagnostics.iter().filter_map(|one| Some((one, one.accepted?))).collect();
    for (finding, reason) in &accepted {
        let platform = finding.platform.map_or_else(String::new, |platform| format!("{}: ", platform.name()));
        let at = finding.path().map_or_else(String::new, |path| format!("{path} "));
        let line = format!("accepted[{}]: {platform}{at}({reason})", finding.rule.name());
        writeln!(out, "{}", fill("", &visible(&line), 2, screen.width))?;
    }
    if accepted.is_empty() { Ok(()) } else { writeln!(out) }
}

/// Writes the chain of each start and the message of every front end, for `--explain`.
fn write_chain(platform: &PlatformReport, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    for target in &platform.targets {
        let but = match target.risks.iter().any(|risk| risk.is_certain) && target.outcome.is_alive() {
            true => ", but not everything that it starts",
            false => "",
        };
        let word = target.outcome.word();
        writeln!(out, "explain {} on {}: {word}{but}", platform.name(), visible(&target.name))?;
        let mut pair = |name: &str, value: &str| screen.pair(&visible(name), &visible(value), NAME_WIDTH, out);
        for step in &target.steps {
            pair(&step.how, &format!("{}   {}", step.path, step.is))?;
        }
        for risk in &target.risks {
            pair(if risk.is_certain { "then" } else { "perhaps" }, &risk.by)?;
            for step in &risk.steps {
                pair(&step.how, &format!("{}   {}", step.path, step.is))?;
            }
            if let Some(cause) = risk.outcome.cause() {
                pair("cause", &format!("{} ({})", cause.text, cause.code()))?;
            }
        }
        if let Some(undecided) = &target.undecided {
            pair("followed to", &undecided.to_string())?;
        }
        if let Some(cause) = target.outcome.cause() {
            pair("cause", &format!("{} ({})", cause.text, cause.code()))?;
        }
        for (shown, front_ends) in alike(&target.shown) {
            let code = shown.exit_code.map_or_else(String::new, |code| format!("   [exit {code}]"));
            pair("shown by", &format!("{}{code}", front_ends.join(", ")))?;
            for line in shown.text.lines() {
                pair("", line)?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Returns each distinct message with the front ends that show it.
fn alike(shown: &[Shown]) -> Vec<(&Shown, Vec<&str>)> {
    let mut groups: Vec<(&Shown, Vec<&str>)> = Vec::new();
    for one in shown {
        let is_alike = |(first, _): &&mut (&Shown, _)| (&first.text, first.exit_code) == (&one.text, one.exit_code);
        match groups.iter_mut().find(is_alike) {
            Some((_, front_ends)) => front_ends.push(&one.frontend),
            None => groups.push((one, vec![&one.frontend])),
        }
    }
    groups
}

/// Writes one line for each image: its headline, its name, and as much of the reason as fits.
fn write_closing_list(subjects: &[Subject<'_>], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<String> = subjects.iter().map(|subject| visible(&subject.name)).collect();
    let name_width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    for (subject, name) in subjects.iter().zip(&names) {
        let lead = headline(subject.verdict, screen);
        let room = screen.width.saturating_sub(LEAD_WIDTH + name_width + 2);
        match reasons(subject).into_iter().find(|reason| reason.width() <= room) {
            Some(reason) => writeln!(out, "{lead}  {name}{}  {reason}", " ".repeat(name_width - name.width()))?,
            None => writeln!(out, "{lead}  {name}")?,
        }
    }
    writeln!(out)
}

/// Width of the headline and the gap after it, in columns.
const LEAD_WIDTH: usize = 6;

/// Returns the worst rule of an image, in a long and a short form.
fn reasons(subject: &Subject<'_>) -> Vec<String> {
    let groups = view::groups(subject);
    let Some(worst) = causes::worst(subject) else { return Vec::new() };
    let short = worst.rule.name().to_string();
    let platform = worst.platform.map_or_else(String::new, |platform| format!(" on {}", visible(&platform.label())));
    let full = match groups.len() {
        count if count > 1 && !worst.rule.is_unread() => format!("{short}{platform}, {} more", count - 1),
        _ => format!("{short}{platform}"),
    };
    vec![full, short]
}

fn write_summary(report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    let platforms: usize = report.images.iter().map(|image| image.platforms.len()).sum();
    let programs: usize =
        report.images.iter().flat_map(|image| &image.platforms).map(|platform| platform.programs).sum();
    let mut parts = vec![
        format!(
            "{}, {}",
            plural(report.count(Severity::Error), "error"),
            plural(report.count(Severity::Warning), "warning")
        ),
        format!(
            "{}, {} read in {:.1} s",
            plural(platforms, "platform"),
            plural(programs, "program"),
            style.took.as_secs_f64()
        ),
    ];
    if report.images.len() > 1 {
        parts.insert(1, plural(report.images.len(), "image"));
    }
    let counts = fill("", &parts.join("; "), 2, style.width);
    let exit = format!("exit {}", report.exit_code(style.fail_on));
    let last_line = counts.lines().last().unwrap_or_default();
    let gap = if last_line.width() + 3 + exit.width() <= style.width { "   " } else { "\n  " };
    writeln!(out, "{counts}{gap}{exit}")
}
