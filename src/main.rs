//! The `phalanx` command; everything is in [`phalanx::cli`].

fn main() -> std::process::ExitCode {
    phalanx::cli::main()
}
