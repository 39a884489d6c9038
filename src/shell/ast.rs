//! The syntax tree of a shell script.

use std::ops::Range;
use std::rc::Rc;

/// A byte range in the text.
pub type Span = Range<usize>;

/// A script, as far as it could be parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    pub list: List,
    /// Bodies of here-documents, indexed by [`Redirect::here`].
    pub documents: Vec<Word>,
    /// The parts that could not be parsed. A shell stops at the first. The commands after it are parsed as far as
    /// possible.
    pub errors: Vec<SyntaxError>,
}

/// A syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: usize,
    /// Line number, from 1.
    pub line: usize,
    pub what: &'static str,
    /// The number of items in the script's list that precede the error.
    pub items_before: usize,
}

/// A sequence of commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    pub items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`, up to `;`, `&` or a newline.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub first: Pipeline,
    pub rest: Vec<(Joint, Pipeline)>,
    /// It ends in `&`.
    pub is_background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// It starts with `!`.
    pub is_negated: bool,
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub kind: CommandKind,
    pub redirects: Vec<Redirect>,
    pub span: Span,
    /// Line number, from 1.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CommandKind {
    Simple(Simple),
    /// `{ list; }`
    Group(List),
    /// `( list )`
    Subshell(List),
    If {
        /// The condition and body of `if` and of each `elif`.
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        is_until: bool,
        condition: List,
        body: List,
    },
    /// `for` and `select`. `words` is `None` if there is no `in`, which means the positional parameters.
    For {
        name: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    /// `for ((init; condition; step))`
    ForArithmetic {
        header: Word,
        body: List,
    },
    Case {
        word: Word,
        arms: Vec<Arm>,
    },
    Function {
        name: String,
        body: Rc<Command>,
    },
    /// `[[ ... ]]`
    Test(Condition),
    /// `(( ... ))`
    Arithmetic(Word),
}

/// Assignments followed by words. Either may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simple {
    pub assignments: Vec<Assignment>,
    pub words: Vec<Word>,
    /// Assignments in the arguments of `export`, `local`, `declare` and similar builtins. They are not part of `words`.
    pub declared: Vec<Assignment>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub name: String,
    /// `NAME[index]=`
    pub index: Option<Word>,
    /// `+=`
    pub appends: bool,
    pub value: AssignedValue,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AssignedValue {
    Scalar(Word),
    /// `(a b [k]=c)`: the elements, each with an optional key.
    Array(Vec<(Option<Word>, Word)>),
}

/// One clause of a `case`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    pub patterns: Vec<Word>,
    pub body: List,
    pub end: ArmEnd,
}

/// `;;`, `;&` and `;;&`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmEnd {
    Leave,
    FallThrough,
    TryNext,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// An operator with its operand. A lone word is parsed as `-n`.
    Unary(UnaryTest, Word),
    Binary(Word, BinaryTest, Word),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

/// Operators of `test`, `[` and `[[` with one operand. Source: POSIX XCU test; bash(1) CONDITIONAL EXPRESSIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryTest {
    IsNotEmpty,
    IsEmpty,
    Exists,
    IsFile,
    IsDirectory,
    IsLink,
    IsReadable,
    IsWritable,
    IsExecutable,
    HasSize,
    IsSpecial,
    IsSet,
    /// Tests of terminals, options, owners and times.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryTest {
    /// `=`, `==`. In `[[` the right operand is a pattern.
    Equal,
    NotEqual,
    Matches,
    Before,
    After,
    NumberEqual,
    NumberNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `-nt`, `-ot`, `-ef`
    Files,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// The descriptor before the operator.
    pub fd: Option<u32>,
    pub kind: RedirectKind,
    /// A file, a descriptor, or the delimiter of a here-document.
    pub target: Word,
    /// Index into [`Script::documents`].
    pub here: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    Input,
    Output,
    Append,
    ReadWrite,
    Duplicate,
    HereDocument,
    HereString,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    pub parts: Vec<Part>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Unquoted text, in which globs, braces and tildes are special.
    Literal(String),
    /// Quoted text, or a character after a backslash.
    Quoted(String),
    DoubleQuoted(Vec<Part>),
    Parameter(Box<Parameter>),
    /// `$(...)` and backquotes.
    Command(List),
    /// `$((...))`
    Arithmetic(Box<Word>),
    /// `<(...)` and `>(...)`
    Process(List),
}

/// `$NAME` and `${...}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name of a variable, digits, or one of `@*#?-$!`.
    pub name: String,
    pub index: Option<Index>,
    /// `${#NAME}`
    pub is_length: bool,
    /// `${!NAME}`
    pub is_indirect: bool,
    pub operation: Operation,
}

/// `[...]` after a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Index {
    At,
    Star,
    Word(Word),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    Plain,
    /// `:-` and similar operators. `or_empty` is true if there is a colon.
    Default {
        or_empty: bool,
        kind: DefaultKind,
        word: Word,
    },
    /// `#`, `##`, `%`, `%%`
    Trim {
        is_suffix: bool,
        is_longest: bool,
        pattern: Word,
    },
    /// `/`, `//`, `/#`, `/%`
    Replace {
        place: ReplacePlace,
        pattern: Word,
        with: Word,
    },
    /// `:offset:length`
    Substring {
        offset: Word,
        length: Option<Word>,
    },
    /// `^`, `^^`, `,`, `,,`
    Case {
        to_upper: bool,
        is_all: bool,
    },
    /// `@Q` and similar operators, and `${!prefix*}`. The value is only known at run time.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultKind {
    Use,
    Assign,
    Fail,
    Alternative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacePlace {
    First,
    All,
    Start,
    End,
}

impl Word {
    /// The text of the word without quotes. `None` if the word contains an expansion.
    pub fn literal(&self) -> Option<String> {
        fn push(parts: &[Part], text: &mut String) -> Option<()> {
            for part in parts {
                match part {
                    Part::Literal(part) | Part::Quoted(part) => text.push_str(part),
                    Part::DoubleQuoted(parts) => push(parts, text)?,
                    Part::Parameter(_) | Part::Command(_) | Part::Arithmetic(_) | Part::Process(_) => return None,
                }
            }
            Some(())
        }
        let mut text = String::new();
        push(&self.parts, &mut text)?;
        Some(text)
    }

    /// The text of the word if it is plain and unquoted, as reserved words must be.
    pub fn bare(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
