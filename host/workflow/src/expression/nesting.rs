//! How deep an expression is nested, found without recursion and before it is parsed.

/// What stands between two brackets, or the whole text.
#[derive(Default)]
struct Level {
    /// Operators since the last comma; each may put what follows, or what came before, one level deeper.
    operators: usize,
    /// The deepest of the brackets since the last comma.
    inner: usize,
    /// The deepest part that a comma has closed.
    deepest: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.deepest.max(self.operators + self.inner)
    }
}

/// An upper bound for the depth of the tree of `text` and for the recursion of its parser. Texts in quotes do not count.
pub(super) fn of(text: &str) -> usize {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' | '`' => skip_quoted(&mut characters, character),
            '(' | '[' | '{' => outer.push(std::mem::take(&mut level)),
            ')' | ']' | '}' => {
                let depth = level.depth();
                level = outer.pop().unwrap_or_default();
                // A bracket may belong to what stands before it, so that it is an operator too.
                level.operators += 1;
                level.inner = level.inner.max(depth);
            }
            ',' => level = Level { deepest: level.depth(), ..Level::default() },
            '.' | '|' | '&' | '!' | '*' | '<' | '>' | '=' | '?' | ':' => level.operators += 1,
            _ => {}
        }
    }
    // Brackets that nothing closes are as deep as closed ones: the parser finds out only at the end.
    while let Some(parent) = outer.pop() {
        let depth = level.depth();
        level = Level { operators: parent.operators + 1, inner: parent.inner.max(depth), deepest: parent.deepest };
    }
    level.depth()
}

fn skip_quoted(characters: &mut std::str::Chars<'_>, quote: char) {
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            character if character == quote => return,
            _ => {}
        }
    }
}
