//! The syntax tree of a shell script.

use std::ops::Range;
use std::rc::Rc;

/// Bytes of the text.
pub type Span = Range<usize>;

/// A script as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    pub list: List,
    /// Bodies of here-documents, by [`Redirect::here`].
    pub documents: Vec<Word>,
    /// What could not be read. A shell stops at the first one; the commands after it are what can be made of the rest.
    pub errors: Vec<SyntaxError>,
}

/// Text that is not shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: usize,
    /// From 1.
    pub line: usize,
    pub what: &'static str,
    /// Items of the script's list that come before it.
    pub items_before: usize,
}

/// Commands one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    pub items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`, up to `;`, `&` or a newline.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub first: Pipeline,
    pub rest: Vec<(Joint, Pipeline)>,
    /// `&` ends it.
    pub is_background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// `!` comes first.
    pub is_negated: bool,
    pub commands: Vec<Command>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub kind: CommandKind,
    pub redirects: Vec<Redirect>,
    pub span: Span,
    /// From 1.
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
        /// Condition and body of `if` and each `elif`.
        branches: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        is_until: bool,
        condition: List,
        body: List,
    },
    /// `for` and `select`. `words` is `None` where there is no `in`: the positional parameters.
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

/// Assignments, then words; either may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simple {
    pub assignments: Vec<Assignment>,
    pub words: Vec<Word>,
    /// Arguments of `export`, `local`, `declare` and their like that are assignments; they are not in `words`.
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
    /// `(a b [k]=c)`: each with its key.
    Array(Vec<(Option<Word>, Word)>),
}

/// One arm of a `case`.
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
    /// `-n "$x"`, a lone word.
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
    /// Terminals, options, owners, times.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryTest {
    /// `=`, `==`: in `[[` the right side is a pattern.
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
    /// A file, a descriptor, or a here-document's delimiter.
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
    /// Unquoted text: globs, braces and tildes in it are alive.
    Literal(String),
    /// Text from quotes or after a backslash.
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
    /// A variable's name, digits, or one of `@*#?-$!`.
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
    /// `:-` and its like; `or_empty`: the colon.
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
    /// `@Q` and its like, `${!prefix*}`: a value that is only known at run time.
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
    /// The word's text where it holds no expansion; quotes are taken off.
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

    /// The word's text where it is plain and unquoted, as reserved words must be.
    pub fn bare(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
