//! The fuzz targets' checks of programs and demands, over their seeds and deterministic mutations of them.

#[path = "../../fuzz/src/models.rs"]
pub mod models;
#[path = "../../fuzz/src/mutate.rs"]
pub mod mutate;
#[path = "../../fuzz/src/programs.rs"]
pub mod programs;

#[test]
fn programs_are_canonical_and_can_be_planned() {
    mutate::run("program", 5000, programs::program);
}

#[test]
fn small_programs_run_as_planned() {
    mutate::run("program_run", 1000, programs::program_run);
}

#[test]
fn demands() {
    mutate::run("demand", 10_000, programs::demand);
}

#[test]
fn models_are_imported_or_refused() {
    mutate::run("onnx", 3000, models::onnx);
}
