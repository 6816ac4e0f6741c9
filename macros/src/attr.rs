//! Parses the options of a derive's attribute; an unknown option's error names the existing ones.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Data, DeriveInput, Ident, Lit, LitInt, LitStr, Meta, Token, Type};

use crate::errors::{Errors, nearest, suggest};

/// The name of an attribute, and its options.
pub(crate) struct Grammar {
    /// `edge`, of `#[edge(...)]`.
    pub(crate) attribute: &'static str,
    /// An example of the whole attribute, for the error if it is missing.
    pub(crate) usage: &'static str,
    /// Each option's name, and an example.
    pub(crate) options: &'static [(&'static str, &'static str)],
}

/// The options as written; mistakes in them are already reported.
pub(crate) struct Options<'a> {
    grammar: &'static Grammar,
    /// Where to report a missing option; `None` if another error would only confuse.
    attribute: Option<&'a Attribute>,
    /// `None` for a value that is already reported.
    written: Vec<(Ident, Option<Value>)>,
}

enum Value {
    Literal(Lit),
    /// syn parses a path as a type, and a field's name is a path.
    Type(Type),
}

impl<'a> Options<'a> {
    /// Reads the attributes above the struct.
    pub(crate) fn read(input: &'a DeriveInput, grammar: &'static Grammar, errors: &mut Errors) -> Self {
        refuse_inside(input, grammar, errors);
        let mut options = Self { grammar, attribute: None, written: Vec::new() };
        let mut present = false;
        for attribute in input.attrs.iter().filter(|attr| attr.path().is_ident(grammar.attribute)) {
            present = true;
            match &attribute.meta {
                Meta::List(list) => {
                    options.attribute = Some(attribute);
                    let entries = |stream: ParseStream| options.read_entries(stream, errors);
                    if let Err(error) = entries.parse2(list.tokens.clone()) {
                        errors.push(syn::Error::new(error.span(), format!("write {}", grammar.usage)));
                        options.attribute = None;
                    }
                }
                _ => errors.at(attribute, format!("write {}", grammar.usage)),
            }
        }
        if !present {
            errors.at(&input.ident, format!("add {} above this", grammar.usage));
        }
        options
    }

    fn read_entries(&mut self, stream: ParseStream, errors: &mut Errors) -> syn::Result<()> {
        while !stream.is_empty() {
            let name = stream.call(Ident::parse_any)?;
            let value = read_value(stream);
            // A mistake ends at the next comma, so that the options after it are still parsed.
            while !stream.is_empty() && !stream.peek(Token![,]) {
                stream.parse::<proc_macro2::TokenTree>()?;
            }
            stream.parse::<Option<Token![,]>>()?;
            self.add(name, value, errors);
        }
        Ok(())
    }

    fn add(&mut self, name: Ident, value: Option<Value>, errors: &mut Errors) {
        let known = self.grammar.options;
        let Some((_, example)) = known.iter().find(|(option, _)| name == option) else {
            let names: Vec<&str> = known.iter().map(|(option, _)| *option).collect();
            let hint = suggest(&name.to_string(), &names, "options");
            errors.at(&name, format!("`{}` has no option `{name}`; {hint}", self.grammar.attribute));
            // A misspelt option is not reported as missing as well.
            if let Some(meant) = nearest(&name.to_string(), &names).filter(|meant| !self.has(meant)) {
                self.written.push((Ident::new(meant, name.span()), None));
            }
            return;
        };
        if self.has(&name.to_string()) {
            errors.at(&name, format!("`{name}` is written twice: keep one"));
            return;
        }
        if value.is_none() {
            errors.at(&name, format!("`{name}` takes a value: `{example}`"));
        }
        self.written.push((name, value));
    }

    /// Whether the option is written, correctly or not.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.written.iter().any(|(name, _)| name == option)
    }

    /// The option's name as written, for error spans.
    pub(crate) fn place(&self, option: &str) -> Option<&Ident> {
        self.written.iter().find(|(name, _)| name == option).map(|(name, _)| name)
    }

    /// The attribute, for error spans, unless it is reported as missing.
    pub(crate) fn attribute(&self) -> Option<&'a Attribute> {
        self.attribute
    }

    /// The name of a field.
    pub(crate) fn field(&self, option: &str, errors: &mut Errors) -> Option<&Ident> {
        match self.value(option)? {
            Value::Type(Type::Path(path)) if path.qself.is_none() && path.path.get_ident().is_some() => {
                path.path.get_ident()
            }
            other => self.refuse(other, "the bare name of a field", option, errors),
        }
    }

    /// A type.
    pub(crate) fn ty(&self, option: &str, errors: &mut Errors) -> Option<&Type> {
        match self.value(option)? {
            Value::Type(ty) => Some(ty),
            other => self.refuse(other, "a type, without quotes", option, errors),
        }
    }

    /// The path of a function.
    pub(crate) fn path(&self, option: &str, errors: &mut Errors) -> Option<&syn::Path> {
        match self.value(option)? {
            Value::Type(Type::Path(path)) if path.qself.is_none() => Some(&path.path),
            other => self.refuse(other, "the path of a function", option, errors),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, option: &str, errors: &mut Errors) -> Option<bool> {
        match self.value(option)? {
            Value::Literal(Lit::Bool(flag)) => Some(flag.value),
            other => self.refuse(other, "`true` or `false`", option, errors),
        }
    }

    /// A string.
    pub(crate) fn text(&self, option: &str, errors: &mut Errors) -> Option<&LitStr> {
        match self.value(option)? {
            Value::Literal(Lit::Str(text)) => Some(text),
            other => self.refuse(other, "a string", option, errors),
        }
    }

    /// A whole number.
    pub(crate) fn integer(&self, option: &str, errors: &mut Errors) -> Option<&LitInt> {
        match self.value(option)? {
            Value::Literal(Lit::Int(number)) => Some(number),
            other => self.refuse(other, "a whole number", option, errors),
        }
    }

    /// Reports required options that are missing.
    pub(crate) fn require(&self, needed: &[&str], errors: &mut Errors) {
        let Some(attribute) = self.attribute else { return };
        for option in needed.iter().filter(|option| !self.has(option)) {
            errors.at(attribute, format!("`{option}` is missing: add `{}`", self.example(option)));
        }
    }

    fn value(&self, option: &str) -> Option<&Value> {
        self.written.iter().find(|(name, _)| name == option)?.1.as_ref()
    }

    fn refuse<T>(&self, value: &Value, wanted: &str, option: &str, errors: &mut Errors) -> Option<T> {
        errors.at(value, format!("`{option}` is {wanted}: `{}`", self.example(option)));
        None
    }

    fn example(&self, option: &str) -> &'static str {
        self.grammar.options.iter().find(|(name, _)| *name == option).map_or("", |(_, example)| example)
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Self::Literal(literal) => literal.to_tokens(tokens),
            Self::Type(ty) => ty.to_tokens(tokens),
        }
    }
}

/// `= value` up to the comma, or nothing.
fn read_value(stream: ParseStream) -> Option<Value> {
    stream.parse::<Token![=]>().ok()?;
    let value = if stream.peek(Lit) || stream.peek(Token![-]) {
        Value::Literal(stream.parse().ok()?)
    } else {
        Value::Type(stream.parse().ok()?)
    };
    (stream.is_empty() || stream.peek(Token![,])).then_some(value)
}

/// Reports attributes on fields and variants, which would be silently ignored.
fn refuse_inside(input: &DeriveInput, grammar: &Grammar, errors: &mut Errors) {
    let mut inside: Vec<&Attribute> = Vec::new();
    match &input.data {
        Data::Struct(data) => inside.extend(data.fields.iter().flat_map(|field| &field.attrs)),
        Data::Enum(data) => {
            for variant in &data.variants {
                inside.extend(&variant.attrs);
                inside.extend(variant.fields.iter().flat_map(|field| &field.attrs));
            }
        }
        Data::Union(data) => inside.extend(data.fields.named.iter().flat_map(|field| &field.attrs)),
    }
    for attribute in inside.into_iter().filter(|attr| attr.path().is_ident(grammar.attribute)) {
        errors
            .at(attribute, format!("`{0}` goes above `{1}`, not inside it", grammar.attribute, input.ident));
    }
}
