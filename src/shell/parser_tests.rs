//! Tests of the parser. Each script that is rejected here is rejected by bash 5.2, and each other script is accepted by
//! it.

use super::*;

/// Formats a script on one line: commands joined by spaces, blocks in brackets.
fn shown(text: &str) -> String {
    let script = parse(text);
    assert_eq!(script.errors, [], "{text}");
    list(&script.list)
}

fn list(list: &CommandList) -> String {
    let items = list.items.iter().map(|item| {
        let rest = item.rest.iter().map(|(joint, pipeline)| {
            format!(" {} {}", if *joint == Joint::And { "&&" } else { "||" }, self::pipeline(pipeline))
        });
        let end = if item.is_background { " &" } else { "" };
        format!("{}{}{end}", pipeline(&item.first), rest.collect::<String>())
    });
    items.collect::<Vec<_>>().join("; ")
}

fn pipeline(pipeline: &ShellPipeline) -> String {
    let commands: Vec<String> = pipeline.commands.iter().map(command).collect();
    format!("{}{}", if pipeline.is_negated { "! " } else { "" }, commands.join(" | "))
}

fn command(command: &ShellCommand) -> String {
    match &command.kind {
        CommandKind::Simple(simple) => {
            let assigned = simple.assignments.iter().map(|assignment| format!("{}=", assignment.name));
            let words = simple.words.iter().map(word);
            let declared = simple.declared.iter().map(|assignment| format!("{}=", assignment.name));
            assigned.chain(words).chain(declared).collect::<Vec<_>>().join(" ")
        }
        CommandKind::Group(body) => format!("{{{}}}", list(body)),
        CommandKind::Subshell(body) => format!("({})", list(body)),
        CommandKind::If { branches, otherwise } => {
            let branches: Vec<String> =
                branches.iter().map(|(condition, body)| format!("{}?{}", list(condition), list(body))).collect();
            let otherwise = otherwise.as_ref().map_or_else(String::new, |body| format!(" else {}", list(body)));
            format!("if[{}{otherwise}]", branches.join(" "))
        }
        CommandKind::Loop { condition, body, is_until } => {
            format!("{}[{}: {}]", if *is_until { "until" } else { "while" }, list(condition), list(body))
        }
        CommandKind::For { name, words, body } => {
            let words = words.as_ref().map(|words| words.iter().map(word).collect::<Vec<_>>().join(" "));
            format!("for[{name} in {}: {}]", words.unwrap_or("@".into()), list(body))
        }
        CommandKind::ForArithmetic { body, .. } => format!("for[{}]", list(body)),
        CommandKind::Case { word: subject, arms } => {
            let arms: Vec<String> = arms
                .iter()
                .map(|arm| {
                    format!("{}) {}", arm.patterns.iter().map(word).collect::<Vec<_>>().join("|"), list(&arm.body))
                })
                .collect();
            format!("case[{}: {}]", word(subject), arms.join(", "))
        }
        CommandKind::Function { name, body, .. } => format!("{name}(){}", self::command(body)),
        CommandKind::Test(_) => "[[".to_string(),
        CommandKind::Arithmetic(_) => "((".to_string(),
    }
}

fn word(word: &ShellWord) -> String {
    parts(&word.parts)
}

fn parts(all: &[WordPart]) -> String {
    let shown = all.iter().map(|part| match part {
        WordPart::Literal(text) => text.clone(),
        WordPart::Quoted(text) => format!("'{text}'"),
        WordPart::DoubleQuoted(inner) => format!("\"{}\"", parts(inner)),
        WordPart::Parameter(parameter) => format!("${}", parameter.name),
        WordPart::Command(body) => format!("$({})", list(body)),
        WordPart::Arithmetic(_) => "$((".to_string(),
        WordPart::Process(body) => format!("<({})", list(body)),
    });
    shown.collect()
}

#[test]
fn operators_and_newlines_end_commands() {
    assert_eq!(shown("a b && c 'd e' | f; g & h || i\nj"), "a b && c 'd e' | f; g &; h || i; j");
    assert_eq!(shown("! a | b\n\n# c\nd # e\nf#g"), "! a | b; d; f#g");
    assert_eq!(shown("a &&\n b |\n c"), "a && b | c");
    assert_eq!(shown("a \\\n b; c\\\nd"), "a b; cd");
}

#[test]
fn compound_commands_nest() {
    assert_eq!(shown("if a; then b; elif c\nthen d; else e; fi"), "if[a?b c?d else e]");
    assert_eq!(shown("while a; do b; done | until c; do d; done"), "while[a: b] | until[c: d]");
    assert_eq!(
        shown("for x in a \"$b\" *; do c; done; for y; do d; done\nfor z do e; done"),
        "for[x in a \"$b\" *: c]; for[y in @: d]; for[z in @: e]"
    );
    assert_eq!(shown("for ((i=0; i<3; i++)); do a; done"), "for[a]");
    assert_eq!(shown("case $a in (x|y) b ;; *) c; esac"), "case[$a: x|y) b, *) c]");
    assert_eq!(shown("case a in\n esac; case a in x) ;; y) b ;& z) ;;& esac"), "case[a: ]; case[a: x) , y) b, z) ]");
    assert_eq!(shown("{ a; }; (b; c) >d"), "{a}; (b; c)");
    assert_eq!(
        shown("f() { a; }; function g { b; }; function h() ( c )\ni ()\n{ d; }"),
        "f(){a}; g(){b}; h()(c); i(){d}"
    );
    assert_eq!(
        shown("[[ -n $a && ( $b == *.c || $d =~ ^(e|f)$ ) ]] && g; (( 1 + (2) )); ((a)|| b)"),
        "[[ && g; ((; ((a) || b)"
    );
}

#[test]
fn a_reserved_word_is_one_only_where_a_command_begins() {
    assert_eq!(
        shown("echo if then fi done { }; 'if' a; fi=1 \"case\""),
        "echo if then fi done { }; 'if' a; fi= \"'case'\""
    );
    assert_eq!(shown("case in in in) a;; esac"), "case[in: in) a]");
}

#[test]
fn quotes_and_expansions_are_parts_of_a_word() {
    assert_eq!(shown("a'b c'\"d $e ${f:-g h} $(i \"j\")\"\\ k"), "a'b c'\"'d '$e' '$f' '$(i \"'j'\")\"' 'k");
    assert_eq!(shown("a `b \\`c\\`` \"`d \\\"e\\\"`\""), "a $(b $(c)) \"$(d \"'e'\")\"");
    assert_eq!(shown("a $((1 + (2))) $( (b) ) $'c\\n' $\"d\" <(e) $"), "a $(( $((b)) 'c\n' \"'d'\" <(e) $");
    assert_eq!(
        shown("echo ${a#\"}\"} ${b%%/*} ${c//x/y} ${d:1:2} ${e^^} ${#f} ${!g} ${h[@]} ${#} $#"),
        "echo $a $b $c $d $e $f $g $h $# $#"
    );
    assert_eq!(shown("a @(b|c d) ?(e)"), "a @(b|c d) ?(e)");
}

#[test]
fn parameters_keep_their_operations() {
    let parameter = |text: &str| match &parse(text).list.items[0].first.commands[0].kind {
        CommandKind::Simple(simple) => match &simple.words[0].parts[0] {
            WordPart::Parameter(parameter) => (**parameter).clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        parameter("${a:-b}").operation,
        Operation::Default { or_empty: true, kind: DefaultKind::Use, .. }
    ));
    assert!(matches!(
        parameter("${a+b}").operation,
        Operation::Default { or_empty: false, kind: DefaultKind::Alternative, .. }
    ));
    assert!(matches!(parameter("${a%.*}").operation, Operation::Trim { is_suffix: true, is_longest: false, .. }));
    assert!(matches!(parameter("${a/#b/c}").operation, Operation::Replace { place: ReplacePlace::Start, .. }));
    assert!(parameter("${#a[@]}").is_length && parameter("${!a}").is_indirect);
    assert_eq!(parameter("${10}").name, "10");
    assert_eq!(parameter("$10").name, "1");
    assert!(matches!(parameter("${a: -1}").operation, Operation::Substring { .. }));
}

#[test]
fn assignments_come_first_or_belong_to_a_declaration() {
    assert_eq!(shown("a=1 b=\"$c\" d e=f"), "a= b= d e=f");
    assert_eq!(shown("export A=1 B; local -a c=(1 \"2\" [x]=3)\nd+=(4) e[0]=5"), "export B A=; local -a c=; d= e=");
    assert_eq!(shown("a=(\n 1 # c\n 2\n)"), "a=");
}

#[test]
fn here_documents_come_after_their_line() {
    let script = parse("cat <<A - <<'B'; d\n$x\nA\n$y\nB\ne <<-C\n\tf\n\tC\ng\n");
    assert_eq!(list(&script.list), "cat -; d; e; g");
    let documents: Vec<String> = script.documents.iter().map(word).collect();
    assert_eq!(documents, ["$x'\n'", "'$y\n'", "'f\n'"]);
    assert_eq!(shown("a $(cat <<E\nb )\nE\n) c"), "a $(cat) c");
}

#[test]
fn redirections_are_not_words() {
    let script = parse("a 2>&1 >b <c d 3<>e &>f g2>h <<<i {j}>k");
    let command = &script.list.items[0].first.commands[0];
    assert_eq!(self::command(command), "a d g2");
    assert_eq!(command.redirects.len(), 8);
    assert_eq!((command.redirects[0].fd, command.redirects[0].kind), (Some(2), RedirectKind::Duplicate));
}

#[test]
fn errors_are_kept_with_their_line_and_the_rest_is_read() {
    for (text, line) in [
        ("a\nfi\nb", 2),
        ("if a; then\nb", 2),
        ("echo \"a\n", 1),
        ("a <<E\nb\n", 1),
        ("x )\ny", 1),
        ("(a", 1),
        ("case x in", 1),
    ] {
        let script = parse(text);
        assert!(script.errors.first().is_some_and(|error| error.line >= line), "{text}: {script:?}");
    }
    let script = parse("a\nfi\nb");
    assert_eq!((list(&script.list).as_str(), script.errors[0].items_before), ("a; b", 1));
}

#[test]
fn a_carriage_return_is_part_of_a_word() {
    assert_eq!(shown("set -e\r\na\r"), "set -e\r; a\r");
    assert!(!parse("if a; then\r\n b\r\nfi\r\n").errors.is_empty());
}

#[test]
fn hostile_texts_end() {
    let deep = |open: &str| open.repeat(5000);
    for text in [
        deep("("),
        deep("{ "),
        deep("$("),
        deep("$(("),
        deep("${a:-"),
        deep("`"),
        deep("\""),
        deep("if "),
        deep("[[ ( "),
        deep("[[ ! "),
        deep("a=("),
        deep("<("),
        deep("case a in a) "),
        deep("f() "),
        deep("<<a "),
        deep("@("),
        deep("\\"),
        deep("ü$"),
    ] {
        parse(&text);
    }
}

#[test]
fn lines_are_counted_from_one() {
    let script = parse("a\n'b\nc'\nd \\\n e\nf");
    let lines: Vec<usize> = script.list.items.iter().map(|item| item.first.commands[0].line).collect();
    assert_eq!(lines, [1, 2, 4, 6]);
}
