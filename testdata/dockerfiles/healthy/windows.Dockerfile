# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN Invoke-WebRequest -Uri https://nodejs.org/dist/v20.15.0/node-v20.15.0-win-x64.zip -OutFile C:\node.zip; `
    Expand-Archive C:\node.zip -DestinationPath C:\ ; `
    Rename-Item C:\node-v20.15.0-win-x64 C:\nodejs
ENV PATH="C:\nodejs;${PATH}"
CMD [ "node.exe" ]
