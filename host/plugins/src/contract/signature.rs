//! Signatures as text: short for people, in full for comparison.

use std::collections::BTreeMap;

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

use crate::convert::truncated;

/// The most of a differing signature that is shown, in bytes: a hostile component can make types of a million parts.
const MAX_SHOWN: usize = 4096;

/// A function with every type it reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// As people write it, types by name.
    text: String,
    /// The named types it reaches, each with its definition.
    types: BTreeMap<String, String>,
}

/// `name: func(parameters) -> result`, types by name.
pub(super) fn of(resolve: &Resolve, function: &Function) -> String {
    let parameters: Vec<_> = function.params.iter().map(|param| format!("{}: {}", param.name, name(resolve, &param.ty))).collect();
    let result = function.result.as_ref().map(|result| format!(" -> {}", name(resolve, result))).unwrap_or_default();
    format!("{}: func({}){result}", function.item_name(), parameters.join(", "))
}

/// The signature and every type definition behind it.
pub(super) fn in_full(resolve: &Resolve, function: &Function) -> Signature {
    let mut types = BTreeMap::new();
    let reached = function.params.iter().map(|param| &param.ty).chain(&function.result);
    reached.for_each(|reached| collect(resolve, reached, &mut types));
    Signature { text: of(resolve, function), types }
}

/// Both signatures as text. Where only the definition of a type behind them differs, that definition is shown instead.
pub(super) fn difference(expected: Option<Signature>, found: Option<Signature>) -> (Option<String>, Option<String>) {
    let (Some(expected), Some(found)) = (&expected, &found) else {
        return (expected.map(|signature| signature.text), found.map(|signature| signature.text));
    };
    let with_types = |signature: &Signature, other: &Signature| {
        let differing = signature.types.iter().filter(|(name, definition)| other.types.get(*name) != Some(definition));
        let definitions = differing.map(|(_, definition)| format!("\n{definition}"));
        truncated(std::iter::once(signature.text.clone()).chain(definitions).collect(), MAX_SHOWN)
    };
    (Some(with_types(expected, found)), Some(with_types(found, expected)))
}

fn name(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => named(resolve, *id),
    }
}

fn named(resolve: &Resolve, id: TypeId) -> String {
    let Some(def) = resolve.types.get(id) else { return "?".to_owned() };
    // An alias may be kept or resolved away by the tool that made a component, so only what it stands for counts.
    if let TypeDefKind::Type(target) = &def.kind {
        return name(resolve, target);
    }
    def.name.clone().unwrap_or_else(|| structure(resolve, &def.kind))
}

fn structure(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let ty = |ty: &Type| name(resolve, ty);
    let optional = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| name(resolve, ty));
    let joined = |parts: Vec<String>| parts.join(", ");
    match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| format!("{}: {}", field.name, ty(&field.ty)));
            format!("record {{ {} }}", joined(fields.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| {
                let payload = case.ty.as_ref().map(|payload| format!("({})", ty(payload))).unwrap_or_default();
                format!("{}{payload}", case.name)
            };
            format!("variant {{ {} }}", joined(variant.cases.iter().map(case).collect()))
        }
        TypeDefKind::Enum(names) => format!("enum {{ {} }}", joined(names.cases.iter().map(|case| case.name.clone()).collect())),
        TypeDefKind::Flags(flags) => format!("flags {{ {} }}", joined(flags.flags.iter().map(|flag| flag.name.clone()).collect())),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", joined(tuple.types.iter().map(ty).collect())),
        TypeDefKind::Option(inner) => format!("option<{}>", ty(inner)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::List(inner) => format!("list<{}>", ty(inner)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", ty(key), ty(value)),
        TypeDefKind::FixedLengthList(inner, length) => format!("list<{}, {length}>", ty(inner)),
        TypeDefKind::Future(inner) => format!("future<{}>", optional(inner)),
        TypeDefKind::Stream(inner) => format!("stream<{}>", optional(inner)),
        // As WIT writes an owned handle.
        TypeDefKind::Handle(Handle::Own(id)) => named(resolve, *id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(resolve, *id)),
        TypeDefKind::Resource => "resource".to_owned(),
        TypeDefKind::Type(target) => ty(target),
        TypeDefKind::Unknown => "?".to_owned(),
    }
}

/// The types that a type is made of.
fn parts(kind: &TypeDefKind) -> Vec<Type> {
    match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Option(inner) | TypeDefKind::List(inner) | TypeDefKind::FixedLengthList(inner, _) | TypeDefKind::Type(inner) => {
            vec![*inner]
        }
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Map(key, value) => vec![*key, *value],
        TypeDefKind::Future(inner) | TypeDefKind::Stream(inner) => inner.iter().copied().collect(),
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => vec![Type::Id(*id)],
        TypeDefKind::Enum(_) | TypeDefKind::Flags(_) | TypeDefKind::Resource | TypeDefKind::Unknown => Vec::new(),
    }
}

fn collect(resolve: &Resolve, ty: &Type, into: &mut BTreeMap<String, String>) {
    let Type::Id(id) = ty else { return };
    let Some(def) = resolve.types.get(*id) else { return };
    let is_alias = matches!(def.kind, TypeDefKind::Type(_));
    if let (false, Some(name)) = (is_alias, &def.name)
        && into.insert(name.clone(), format!("{name} = {}", structure(resolve, &def.kind))).is_some()
    {
        return;
    }
    parts(&def.kind).iter().for_each(|part| collect(resolve, part, into));
}
