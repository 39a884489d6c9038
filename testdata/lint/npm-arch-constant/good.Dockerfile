FROM node:22
RUN npm install --os=linux --libc=musl sharp
