//! The syntax tree of a shell script.

use std::ops::Range;
use std::rc::Rc;

/// A byte range in the text.
pub type Span = Range<usize>;

/// A script, as far as it could be parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShellScript {
    pub list: CommandList,
    /// Bodies of here-documents, indexed by [`Redirect::here`].
    pub documents: Vec<ShellWord>,
    /// The parts that could not be parsed. A shell stops at the first. The commands after it are parsed as far as
    /// possible.
    pub errors: Vec<ShellSyntaxError>,
}

/// A syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellSyntaxError {
    pub at: usize,
    /// Line number, from 1.
    pub line: usize,
    pub what: &'static str,
    /// The number of items in the script's list that precede the error.
    pub items_before: usize,
}

/// A sequence of commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandList {
    pub items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`, up to `;`, `&` or a newline.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub first: ShellPipeline,
    pub rest: Vec<(Joint, ShellPipeline)>,
    /// It ends in `&`.
    pub is_background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShellPipeline {
    /// It starts with `!`.
    pub is_negated: bool,
    pub commands: Vec<ShellCommand>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShellCommand {
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
    Group(CommandList),
    /// `( list )`
    Subshell(CommandList),
    If {
        /// The condition and body of `if` and of each `elif`.
        branches: Vec<(CommandList, CommandList)>,
        otherwise: Option<CommandList>,
    },
    Loop {
        is_until: bool,
        condition: CommandList,
        body: CommandList,
    },
    /// `for` and `select`. `words` is `None` if there is no `in`, which means the positional parameters.
    For {
        name: String,
        words: Option<Vec<ShellWord>>,
        body: CommandList,
    },
    /// `for ((init; condition; step))`
    ForArithmetic {
        header: ShellWord,
        body: CommandList,
    },
    Case {
        word: ShellWord,
        arms: Vec<Arm>,
    },
    Function {
        name: String,
        body: Rc<ShellCommand>,
        style: FunctionStyle,
    },
    /// `[[ ... ]]`
    Test(Condition),
    /// `(( ... ))`
    Arithmetic(ShellWord),
}

/// How a function is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionStyle {
    /// `name()`
    Parentheses,
    /// `function name`
    Keyword,
    /// `function name()`
    KeywordAndParentheses,
}

/// Assignments followed by words. Either may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simple {
    pub assignments: Vec<Assignment>,
    pub words: Vec<ShellWord>,
    /// Assignments in the arguments of `export`, `local`, `declare` and similar builtins. They are not part of `words`.
    pub declared: Vec<Assignment>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub name: String,
    /// `NAME[index]=`
    pub index: Option<ShellWord>,
    /// `+=`
    pub appends: bool,
    pub value: AssignedValue,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AssignedValue {
    Scalar(ShellWord),
    /// `(a b [k]=c)`: the elements, each with an optional key.
    Array(Vec<(Option<ShellWord>, ShellWord)>),
}

/// One clause of a `case`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    pub patterns: Vec<ShellWord>,
    pub body: CommandList,
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
    Unary(UnaryTest, ShellWord),
    Binary(ShellWord, BinaryTest, ShellWord),
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
    pub target: ShellWord,
    /// Index into [`ShellScript::documents`].
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
pub struct ShellWord {
    pub parts: Vec<WordPart>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WordPart {
    /// Unquoted text, in which globs, braces and tildes are special.
    Literal(String),
    /// Quoted text, or a character after a backslash.
    Quoted(String),
    DoubleQuoted(Vec<WordPart>),
    Parameter(Box<Parameter>),
    /// `$(...)` and backquotes.
    Command(CommandList),
    /// `$((...))`
    Arithmetic(Box<ShellWord>),
    /// `<(...)` and `>(...)`
    Process(CommandList),
}

/// `$NAME` and `${...}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name of a variable, digits, or one of `@*#?-$!`.
    pub name: String,
    pub index: Option<SubscriptIndex>,
    /// `${#NAME}`
    pub is_length: bool,
    /// `${!NAME}`
    pub is_indirect: bool,
    pub operation: Operation,
}

/// `[...]` after a name.
#[derive(Clone, Debug, PartialEq)]
pub enum SubscriptIndex {
    At,
    Star,
    Word(ShellWord),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    Plain,
    /// `:-` and similar operators. `or_empty` is true if there is a colon.
    Default {
        or_empty: bool,
        kind: DefaultKind,
        word: ShellWord,
    },
    /// `#`, `##`, `%`, `%%`
    Trim {
        is_suffix: bool,
        is_longest: bool,
        pattern: ShellWord,
    },
    /// `/`, `//`, `/#`, `/%`
    Replace {
        place: ReplacePlace,
        pattern: ShellWord,
        with: ShellWord,
    },
    /// `:offset:length`
    Substring {
        offset: ShellWord,
        length: Option<ShellWord>,
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

impl ShellWord {
    /// The text of the word without quotes. `None` if the word contains an expansion.
    pub fn literal(&self) -> Option<String> {
        fn push(parts: &[WordPart], text: &mut String) -> Option<()> {
            for part in parts {
                match part {
                    WordPart::Literal(part) | WordPart::Quoted(part) => text.push_str(part),
                    WordPart::DoubleQuoted(parts) => push(parts, text)?,
                    WordPart::Parameter(_) | WordPart::Command(_) | WordPart::Arithmetic(_) | WordPart::Process(_) => {
                        return None;
                    }
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
            [WordPart::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
