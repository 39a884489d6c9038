//! Images that real builders build from one Dockerfile and push to a real registry. Each foreign file must be
//! attributed to its layer, its build step, its line in the Dockerfile, and the base image if it comes from there.

mod attribution;
mod index;
mod site;
