//! What a component imports and exports, and whether that fits the contract.

use std::fmt;

use serde::Serialize;

use crate::capability::Capability;
use crate::contract;
use crate::error::PluginError;
use crate::package::PluginPackage;

/// One difference between a component and the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// What differs, such as `import breakwater:plugin/imaging@0.1.0 thumbnail`.
    pub item: String,
    /// Its signature in the contract; `None` when the contract has no such item.
    pub expected: Option<String>,
    /// Its signature in the component; `None` when the component lacks it.
    pub found: Option<String>,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indented = |text: &Option<String>| text.as_deref().unwrap_or("nothing").replace('\n', "\n              ");
        writeln!(f, "- {}", self.item)?;
        writeln!(f, "    expected: {}", indented(&self.expected))?;
        writeln!(f, "    found:    {}", indented(&self.found))?;
        write!(f, "    fix:      {}", self.fix)
    }
}

/// One function or interface at the component's border.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The interface, such as `breakwater:plugin/imaging@0.1.0`, or the name of a plain function.
    pub interface: String,
    /// The functions with their signatures.
    pub functions: Vec<String>,
    /// The capability that links it, where one is needed.
    pub capability: Option<Capability>,
}

/// What [`inspect`] found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The world of the contract it was held against.
    pub world: &'static str,
    /// Size of the component in bytes.
    pub component_bytes: usize,
    /// What it imports.
    pub imports: Vec<Item>,
    /// What it exports.
    pub exports: Vec<Item>,
    /// Where it differs from the contract; empty when it fits.
    pub mismatches: Vec<Mismatch>,
    /// Capabilities that it imports but the manifest does not ask for.
    pub not_asked: Vec<Capability>,
}

/// Looks at a package without running it.
///
/// # Errors
/// [`PluginError::ComponentInvalid`] when the component cannot be read.
pub fn inspect(package: &PluginPackage) -> Result<Inspection, PluginError> {
    let world = package.manifest().world;
    let surface = contract::read(world, package.component())?;
    let asked = &package.manifest().capabilities;
    let needed = surface.imports.iter().filter_map(|item| item.capability);
    let not_asked = needed.filter(|capability| *capability != Capability::Logging && !asked.contains(capability)).collect();
    Ok(Inspection {
        world: world.name(),
        component_bytes: package.component().len(),
        imports: surface.imports,
        exports: surface.exports,
        mismatches: surface.mismatches,
        not_asked,
    })
}
