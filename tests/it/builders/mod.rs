//! Images that real builders make of one Dockerfile, pushed to a real registry: each foreign file is said to be of its
//! layer, of the step that brought it in, of its line in the Dockerfile, and of the base image where it is its base's.

mod attribution;
mod index;
mod site;
