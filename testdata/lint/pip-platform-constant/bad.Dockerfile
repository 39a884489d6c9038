FROM python:3.12
RUN pip install --platform manylinux2014_x86_64 --only-binary=:all: --target /app numpy
RUN python -m pip download --platform=manylinux_2_28_x86_64 numpy
