# Sets up S/MIME on Windows for Outlook: trusts the authority for you alone, and
# takes your file in. Needs no administrator's rights.
#
#   powershell -ExecutionPolicy Bypass -File windows.ps1 -File C:\path\FILE.p12
#
# Windows shows the SHA-1 thumbprint of the root and asks whether you are sure.
# Compare it with this one:
#   @THUMBPRINT@
param([Parameter(Mandatory = $true)] [string] $File)
$ErrorActionPreference = 'Stop'

if (-not (Test-Path -LiteralPath $File)) {
    Write-Error "Cannot find $File. Name the file that you downloaded."
}

function Add-Authority([string] $Store, [string] $Base64) {
    $bytes = [Convert]::FromBase64String($Base64)
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $bytes)
    $target = New-Object System.Security.Cryptography.X509Certificates.X509Store $Store, 'CurrentUser'
    $target.Open('ReadWrite')
    try { $target.Add($certificate) } finally { $target.Close() }
}

@CERTIFICATES@
$password = Read-Host -AsSecureString 'Passphrase of the file'
$mine = Import-PfxCertificate -FilePath $File -CertStoreLocation Cert:\CurrentUser\My -Password $password
Write-Host "Imported: $($mine.Subject) $($mine.Thumbprint)"
Write-Host 'In Outlook: File > Options > Trust Center > Trust Center Settings > Email Security > Settings, and choose it for signing and encryption.'
