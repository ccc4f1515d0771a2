//! The ends of a model: inputs of their owners, outputs for their recipients.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{ArrayD, Axis};

use super::constant::Known;
use super::emit::Importer;
use super::error::ImportError;
use super::load::Model;
use super::options::{Features, Options};
use super::proto::ValueInfoProto;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::dimension::Value as Length;
use super::proto::type_proto::Value as Type;
use super::value::{Lazy, Secret, Val};
use crate::builder::{Owner, Value};
use crate::program::Program;

/// A model as a program.
#[derive(Debug)]
pub struct Imported {
    /// The program.
    pub program: Program,
    /// Values of the inputs that are the model's parameters, by the program's names; empty if they are public.
    pub parameters: BTreeMap<String, ArrayD<f64>>,
    /// The features that the program wants, in order.
    pub inputs: Vec<ImportedInput>,
    /// What the program computes.
    pub outputs: Vec<ImportedOutput>,
    /// Where results may differ from the model's: limits of arguments that the graph does not prove.
    pub notes: Vec<String>,
}

/// Features that a party brings.
#[derive(Clone, Debug)]
pub struct ImportedInput {
    /// The program's name for them.
    pub name: String,
    /// The model's input that they are a part of.
    pub of: String,
    /// Index of the party.
    pub owner: usize,
    /// Which indices along axis 1, if not all.
    pub columns: Option<Range<usize>>,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
}

/// A result.
#[derive(Clone, Debug)]
pub struct ImportedOutput {
    /// The name, in the model and in the program.
    pub name: String,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// Texts that its values are indices of, where the model's result is one of these.
    pub labels: Vec<String>,
}

/// The model's outputs that are computed.
pub(super) fn wanted(model: &Model, options: &Options) -> Result<Vec<String>, ImportError> {
    let all = model.outputs();
    if all.is_empty() {
        return Err(ImportError::Malformed("it has no outputs".into()));
    }
    if options.outputs.is_empty() {
        return Ok(all.iter().map(|&n| n.to_owned()).collect());
    }
    if let Some(unknown) = options.outputs.iter().find(|o| !all.contains(&o.as_str())) {
        let known = all.join("`, `");
        return Err(ImportError::Options(format!("the model has no output `{unknown}`; it has `{known}`")));
    }
    Ok(options.outputs.clone())
}

impl Importer<'_> {
    /// Declares the model's inputs as those of their owners.
    pub(super) fn inputs(&mut self, model: &Model) -> Result<Vec<ImportedInput>, ImportError> {
        let mut all = vec![];
        let names = model.inputs();
        for f in self.options.features.iter().filter_map(|f| f.input.as_deref()) {
            if !names.contains(&f) {
                let known = names.join("`, `");
                return Err(ImportError::Options(format!("the model has no input `{f}`; it has `{known}`")));
            }
        }
        for r in self.options.ranges.iter().filter_map(|r| r.input.as_deref()) {
            if !names.contains(&r) {
                let known = names.join("`, `");
                let text = format!("a range is given for input `{r}`; the model has `{known}`");
                return Err(ImportError::Options(text));
            }
        }
        let mut lengths =
            Lengths { options: self.options, named: self.options.dims.clone(), batch_used: false };
        for info in &model.graph.input {
            let name = info.name.clone().unwrap_or_default();
            if model.initializers.contains_key(&name) {
                continue;
            }
            let (shape, integral) = lengths.shape_of(info, &name)?;
            let secret = self.input(&name, (&shape, integral), &mut all)?;
            let secret = Secret { integral, ..Secret::new(Lazy::Ready(secret), shape) };
            if integral {
                self.integers.insert(name.clone());
            }
            self.values.insert(name, secret.into());
        }
        lengths.check_batch(&all)?;
        Ok(all)
    }

    fn input(
        &mut self,
        name: &str,
        (shape, integral): (&[usize], bool),
        all: &mut Vec<ImportedInput>,
    ) -> Result<Value, ImportError> {
        let own: Vec<Features> =
            self.options.features.iter().filter(|f| f.input.as_deref() == Some(name)).cloned().collect();
        let own = if own.is_empty() {
            self.options.features.iter().filter(|f| f.input.is_none()).cloned().collect()
        } else {
            own
        };
        if own.is_empty() {
            return Err(ImportError::Options(format!("nobody brings the model's input `{name}`")));
        }
        let ranges = self.ranges_of(name, shape)?;
        if let [Features { owner, columns: None, max_abs, .. }] = own[..]
            && ranges.iter().all(|r| *r == ranges[0])
        {
            let free = self.free_name(name);
            let max_abs = ranges.first().copied().flatten().or(max_abs).unwrap_or(self.options.max_abs);
            all.push(ImportedInput {
                name: free.clone(),
                of: name.to_owned(),
                owner,
                columns: None,
                shape: shape.to_vec(),
            });
            return self.declared(&free, Owner(owner), (shape, integral), max_abs);
        }
        let &[_, width, ..] = shape else {
            let text = format!("input `{name}` of shape {shape:?} has no columns that could be divided");
            return Err(ImportError::Options(text));
        };
        let (mut parts, mut bounds) = (vec![], vec![]);
        for f in divided(name, own, width)? {
            let columns = f.columns.clone().unwrap_or(0..width);
            for columns in alike(&ranges, columns.clone()) {
                let party = self.options.parties.get(f.owner).map_or("", String::as_str);
                // Columns of one party are told apart by where they are.
                let free = if f.columns.as_ref().is_some_and(|c| *c == columns) {
                    format!("{party}.{name}")
                } else {
                    format!("{name}.{}..{}", columns.start, columns.end)
                };
                let free = self.free_name(&free);
                let mut shape = shape.to_vec();
                shape[1] = columns.len();
                let max_abs = ranges[columns.start].or(f.max_abs).unwrap_or(self.options.max_abs);
                bounds.extend(vec![max_abs; columns.len()]);
                parts.push(self.declared(&free, Owner(f.owner), (&shape, integral), max_abs)?);
                let of = name.to_owned();
                all.push(ImportedInput { name: free, of, owner: f.owner, columns: Some(columns), shape });
            }
        }
        let value = if let [one] = parts[..] { one } else { self.p.concat(&parts, Axis(1))? };
        if shape.len() == 2 {
            self.know_columns(value, bounds, true)
                .map_err(|e| ImportError::Options(format!("input `{name}`: {e:?}")))?;
        }
        Ok(value)
    }

    /// The magnitude that was given for each column of an input.
    fn ranges_of(&self, name: &str, shape: &[usize]) -> Result<Vec<Option<f64>>, ImportError> {
        let width = if let &[_, width, ..] = shape { width } else { 1 };
        let mut ranges = vec![None; width];
        let own = self.options.ranges.iter().filter(|r| r.input.as_deref().is_none_or(|i| i == name));
        for r in own {
            let columns = r.columns.clone().unwrap_or(0..width);
            let part = ranges.get_mut(columns.clone()).filter(|_| !columns.is_empty());
            let Some(part) = part else {
                return Err(ImportError::Options(format!(
                    "a range is given for columns {}..{} of input `{name}`, which has {width}",
                    columns.start, columns.end
                )));
            };
            part.fill(Some(r.max_abs));
        }
        Ok(ranges)
    }

    fn declared(
        &mut self,
        name: &str,
        owner: Owner,
        (shape, integral): (&[usize], bool),
        max_abs: f64,
    ) -> Result<Value, ImportError> {
        Ok(if integral {
            self.p.integers(name, owner, shape, max_abs.floor())?
        } else {
            self.p.input(name, owner, shape, max_abs)?
        })
    }

    /// Declares the outputs and ends the building.
    pub(super) fn finish(
        mut self,
        wanted: &[String],
        inputs: Vec<ImportedInput>,
        notes: Vec<String>,
    ) -> Result<Imported, ImportError> {
        let mut outputs = vec![];
        for name in wanted {
            let secret = match self.values.get(name).cloned() {
                Some(Val::Secret(secret)) => secret,
                Some(Val::Known(Known::Numbers(_) | Known::Texts(_))) => {
                    return Err(ImportError::Options(format!(
                        "output `{name}` is the same whatever the inputs are, so it needs no computation; name the outputs to compute"
                    )));
                }
                None => return Err(ImportError::Malformed(format!("nothing makes the output \"{name}\""))),
            };
            let value = self.force(&secret).map_err(|problem| {
                let operator = "output".to_owned();
                ImportError::Refused(vec![super::error::Refusal { node: name.clone(), operator, problem }])
            })?;
            self.names.remove(name);
            let free = self.free_name(name);
            self.p.output(&free, value, &self.options.recipients.clone())?;
            let labels = secret.labels.as_deref().cloned().unwrap_or_default();
            outputs.push(ImportedOutput { name: free, shape: secret.shape, labels });
        }
        Ok(Imported { program: self.p.build()?, parameters: self.parameters, inputs, outputs, notes })
    }
}

/// The parts of an input's columns by their owners, in order.
fn divided(name: &str, own: Vec<Features>, width: usize) -> Result<Vec<Features>, ImportError> {
    if let [Features { columns: None, .. }] = own[..] {
        return Ok(own);
    }
    let mut next = 0;
    let mut own = own;
    own.sort_by_key(|f| f.columns.as_ref().map_or(0, |c| c.start));
    for f in &own {
        let columns = f.columns.clone().filter(|c| c.start == next && c.start < c.end && c.end <= width);
        let Some(columns) = columns else {
            let seen = f
                .columns
                .as_ref()
                .map_or_else(|| "all columns".into(), |c| format!("{}..{}", c.start, c.end));
            let text = format!(
                "the columns of input `{name}` are divided among their owners without gaps: expected a part from {next}, at \
                 most to {width}, got {seen}"
            );
            return Err(ImportError::Options(text));
        };
        next = columns.end;
    }
    if next != width {
        let text = format!("nobody brings the columns {next}..{width} of input `{name}`");
        return Err(ImportError::Options(text));
    }
    Ok(own)
}

/// Neighbouring columns with the same range.
fn alike(ranges: &[Option<f64>], columns: Range<usize>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = vec![];
    for i in columns {
        match all.last_mut() {
            Some(last) if ranges[last.start] == ranges[i] => last.end = i + 1,
            _ => all.push(i..i + 1),
        }
    }
    all
}

/// Lengths of axes that the model leaves open.
struct Lengths<'a> {
    options: &'a Options,
    named: BTreeMap<String, usize>,
    batch_used: bool,
}

impl Lengths<'_> {
    /// The shape of an input, and whether it holds integers.
    fn shape_of(&mut self, info: &ValueInfoProto, name: &str) -> Result<(Vec<usize>, bool), ImportError> {
        let wrong = |what: &str| ImportError::Options(format!("input `{name}`: {what}"));
        let Some(Type::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return Err(wrong("it is no tensor"));
        };
        let integral = match DataType::try_from(tensor.elem_type.unwrap_or(0)) {
            Ok(DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16) => false,
            Ok(DataType::String) => {
                return Err(wrong("it holds texts; encode them as numbers before the model"));
            }
            Ok(DataType::Complex64 | DataType::Complex128 | DataType::Undefined) | Err(_) => {
                return Err(wrong("its elements are of a type that is not read"));
            }
            Ok(_) => true,
        };
        let dims =
            tensor.shape.as_ref().ok_or_else(|| wrong("the model does not say how many axes it has"))?;
        let mut shape = vec![];
        for (axis, dim) in dims.dim.iter().enumerate() {
            let param = match &dim.value {
                Some(Length::DimValue(n)) if *n > 0 => {
                    shape.push(usize::try_from(*n).unwrap_or(usize::MAX));
                    continue;
                }
                Some(Length::DimParam(param)) => param.as_str(),
                _ => "",
            };
            let length = match self.named.get(param) {
                Some(&length) => length,
                None if axis == 0 => {
                    self.batch_used = true;
                    let batch = self.options.batch.unwrap_or(1);
                    if !param.is_empty() {
                        self.named.insert(param.to_owned(), batch);
                    }
                    batch
                }
                None => {
                    let called = if param.is_empty() { "it has no name in the model" } else { param };
                    return Err(wrong(&format!(
                        "axis {axis} has no fixed length; give one by its name: {called}"
                    )));
                }
            };
            shape.push(length);
        }
        let allowed = crate::shape::Shape::from(&shape[..]);
        if !allowed.is_allowed() {
            return Err(wrong(&format!("shape {allowed} is not allowed")));
        }
        Ok((shape, integral))
    }

    /// A batch that the model does not leave open is a misunderstanding.
    fn check_batch(&self, all: &[ImportedInput]) -> Result<(), ImportError> {
        let Some(batch) = self.options.batch.filter(|_| !self.batch_used) else { return Ok(()) };
        if all.iter().any(|i| i.shape.first() == Some(&batch)) {
            return Ok(());
        }
        let shapes: Vec<_> = all.iter().map(|i| format!("`{}` {:?}", i.of, i.shape)).collect();
        Err(ImportError::Options(format!(
            "a batch of {batch} was asked for, but the model fixes the lengths of its inputs: {}; export it with a batch axis of open \
             length",
            shapes.join(", ")
        )))
    }
}
