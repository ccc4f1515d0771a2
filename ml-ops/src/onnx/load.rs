//! Reading a model's file, and the files beside it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use prost::Message as _;
use prost::bytes::Bytes;

use super::constant::Known;
use super::error::ImportError;
use super::proto::{GraphProto, ModelProto, TensorProto};
use super::{scan, tensor};

/// Largest model file, and largest file beside it.
pub const MAX_MODEL_BYTES: u64 = 256 << 20;
/// Most elements of all constants of a model together, and of all that is folded from them.
pub(super) const MAX_ELEMENTS: usize = 1 << 24;

/// A decoded model, its tensors checked.
pub struct Model {
    pub(super) proto: ModelProto,
    pub(super) graph: GraphProto,
    /// The tensors of the graph by name.
    pub(super) initializers: BTreeMap<String, Known>,
    /// Elements that all constants may still have.
    pub(super) elements_left: usize,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model of {} nodes", self.graph.node.len())
    }
}

impl Model {
    /// Reads a model's file, and tensors that it keeps in files of the same folder.
    ///
    /// # Errors
    /// [`ImportError::File`], [`ImportError::TooLarge`], [`ImportError::Malformed`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ImportError> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Self::new(bytes, Some(&folder))
    }

    /// Decodes a model that keeps all its tensors in itself.
    ///
    /// # Errors
    /// As [`Model::load`], or a tensor in another file.
    pub fn decode(bytes: impl Into<Vec<u8>>) -> Result<Self, ImportError> {
        let bytes = bytes.into();
        within(bytes.len() as u64)?;
        Self::new(bytes.into(), None)
    }

    fn new(bytes: Bytes, folder: Option<&Path>) -> Result<Self, ImportError> {
        scan::check(&bytes)?;
        let mut proto = ModelProto::decode(bytes).map_err(|e| ImportError::Malformed(e.to_string()))?;
        let Some(mut graph) = proto.graph.take() else {
            return Err(ImportError::Malformed("it has no graph".into()));
        };
        let mut files = Files { folder, read: BTreeMap::new() };
        let mut elements_left = MAX_ELEMENTS;
        let mut initializers = BTreeMap::new();
        for mut t in std::mem::take(&mut graph.initializer) {
            files.fill(&mut t)?;
            let name = t.name.clone().unwrap_or_default();
            let value = tensor::known(&t, &mut elements_left)
                .map_err(|e| ImportError::Malformed(format!("tensor \"{name}\": {e}")))?;
            initializers.insert(name, value);
        }
        Ok(Self { proto, graph, initializers, elements_left })
    }

    /// Names of the model's inputs, without those that the file has values for.
    #[must_use]
    pub fn inputs(&self) -> Vec<&str> {
        let all = self.graph.input.iter().map(proto_name);
        all.filter(|n| !self.initializers.contains_key(*n)).collect()
    }

    /// Names of the model's outputs.
    #[must_use]
    pub fn outputs(&self) -> Vec<&str> {
        self.graph.output.iter().map(proto_name).collect()
    }
}

fn proto_name(info: &super::proto::ValueInfoProto) -> &str {
    info.name.as_deref().unwrap_or_default()
}

const fn within(got: u64) -> Result<(), ImportError> {
    if got <= MAX_MODEL_BYTES {
        return Ok(());
    }
    Err(ImportError::TooLarge { what: "bytes", got, limit: MAX_MODEL_BYTES })
}

fn read(path: &Path) -> Result<Bytes, ImportError> {
    let failed = |source| ImportError::File { path: path.into(), source };
    // Opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    within(file.metadata().map_err(failed)?.len())?;
    let mut bytes = Vec::new();
    file.take(MAX_MODEL_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    within(bytes.len() as u64)?;
    Ok(bytes.into())
}

/// Files beside the model, each read once.
struct Files<'a> {
    folder: Option<&'a Path>,
    read: BTreeMap<PathBuf, Bytes>,
}

impl Files<'_> {
    /// Brings what a tensor keeps in another file.
    fn fill(&mut self, t: &mut TensorProto) -> Result<(), ImportError> {
        if t.data_location.unwrap_or(0) == 0 && t.external_data.is_empty() {
            return Ok(());
        }
        let name = t.name.clone().unwrap_or_default();
        let wrong = |what: &str| ImportError::Malformed(format!("tensor \"{name}\" in another file: {what}"));
        let entry = |key: &str| {
            t.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref())
        };
        let number = |key: &str| entry(key).map(str::parse::<usize>).transpose();
        let location = PathBuf::from(entry("location").ok_or_else(|| wrong("it has no location"))?);
        let offset = number("offset").map_err(|_| wrong("its offset is no number"))?.unwrap_or(0);
        let length = number("length").map_err(|_| wrong("its length is no number"))?;
        let Some(folder) = self.folder else { return Err(wrong("only a model in a file can have those")) };
        // Nothing above the model's folder, and no link that leads there.
        if !location.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(wrong("its location must be a path below the model's folder"));
        }
        let path = folder.join(&location);
        let root = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = |p: &Path| p.canonicalize().map_err(|source| ImportError::File { path: p.into(), source });
        if !real(&path)?.starts_with(real(root)?) {
            return Err(wrong("its location is a link that leads out of the model's folder"));
        }
        let bytes = match self.read.get(&path) {
            Some(bytes) => bytes.clone(),
            None => {
                let held: u64 = self.read.values().map(|b| b.len() as u64).sum();
                let bytes = read(&path)?;
                within(held + bytes.len() as u64)?;
                self.read.insert(path, bytes.clone());
                bytes
            }
        };
        let end = length.map_or(Some(bytes.len()), |length| offset.checked_add(length));
        let part = end.filter(|&end| offset <= end && end <= bytes.len());
        let end = part.ok_or_else(|| wrong("the file ends before the tensor does"))?;
        t.raw_data = Some(bytes.slice(offset..end));
        Ok(())
    }
}
