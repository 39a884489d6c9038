FROM node:22
ENV npm_config_arch=x64
RUN npm install --cpu=x64 sharp
